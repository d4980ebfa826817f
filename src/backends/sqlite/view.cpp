// SPDX-License-Identifier: MIT
//
// The read transaction of view.hpp. One thread at a time.
#include "backends/sqlite/view.hpp"

namespace graven::sqlite {

namespace {

/// Rows of a read transaction. After another thread has ended the transaction, its connection and
/// this statement belong to someone else.
class ViewRows final : public port::SqlRows {
 public:
  ViewRows(ReadTransaction& read, std::unique_ptr<RawRun> run)
      : read_(read), run_(std::move(run)) {}
  ViewRows(const ViewRows&) = delete;
  ViewRows& operator=(const ViewRows&) = delete;
  ~ViewRows() override {
    read_.if_open([this](Connection&) { run_->release(); });
  }

  [[nodiscard]] const std::vector<std::string>& columns() const override { return run_->columns(); }
  bool fetch(std::vector<port::SqlRow>& rows, std::size_t most) override {
    return read_.use([&](Connection&) { return run_->fetch(rows, most); });
  }
  [[nodiscard]] std::int64_t changes() const override { return run_->changes(); }
  [[nodiscard]] std::int64_t last_rowid() const override { return run_->last_rowid(); }
  [[nodiscard]] bool writes() const override { return run_->writes(); }

 private:
  ReadTransaction& read_;
  std::unique_ptr<RawRun> run_;
};

}  // namespace

std::unique_ptr<port::SqlRows> SqliteView::sql(std::string_view text,
                                               const port::SqlParameters& parameters) {
  return read_.use([&](Connection& connection) {
    return std::make_unique<ViewRows>(read_,
                                      std::make_unique<RawRun>(connection, text, parameters));
  });
}

template <class Body>
auto SqliteView::reading(const Body& body) {
  auto result = read_.use([&](Connection& connection) { return body(connection.tables()); });
  if (source_.verify) source_.verify();
  return result;
}

std::optional<port::Record> SqliteView::load(const port::Key& key) {
  return source_.traffic.reading(
      key, [&] { return reading([&](Tables& tables) { return tables.load(key); }); });
}

void SqliteView::load_many(std::span<const port::Key> keys,
                           const std::function<void(std::size_t, port::Record*)>& each) {
  if (keys.empty()) return;
  source_.traffic.reading(keys.front(), [&] {
    return reading([&](Tables& tables) {
      tables.load_many(keys, each);
      return true;
    });
  });
}

std::vector<port::Row> SqliteView::scan(const port::Range& range, std::size_t limit) {
  return source_.traffic.reading({.space = range.space, .a = range.a}, [&] {
    return reading([&](Tables& tables) { return tables.scan(range, limit); });
  });
}

bool SqliteView::any_orphans() {
  return reading([](Tables& tables) { return tables.any_orphans(); });
}

std::uint64_t SqliteView::count_items(std::int64_t map) {
  return reading([&](Tables& tables) { return tables.count_items(map); });
}

}  // namespace graven::sqlite
