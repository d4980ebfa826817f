// SPDX-License-Identifier: MIT
//
// The port's View, as a read transaction.
//
// Always holds: before its first read a view holds no connection and pins no state.
//
// One thread at a time. In the child of a fork every use throws and the destructor does nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "backends/sqlite/read_transaction.hpp"
#include "port/backend.hpp"

namespace graven::sqlite {

class SqliteView final : public store::View {
 public:
  explicit SqliteView(const ReadSource& source) noexcept
      : source_(source), read_(source, "a snapshot or an iteration") {}
  SqliteView(const SqliteView&) = delete;
  SqliteView& operator=(const SqliteView&) = delete;

  std::optional<store::Record> load(const store::Key& key) override;
  void load_many(std::span<const store::Key> keys,
                 const std::function<void(std::size_t, store::Record*)>& each) override;
  std::vector<store::Row> scan(const store::Range& range, std::size_t limit) override;
  bool any_orphans() override;
  std::uint64_t count_items(std::int64_t map) override;
  std::unique_ptr<store::SqlRows> sql(std::string_view text,
                                      const store::SqlParameters& parameters) override;

 private:
  /// Runs `body`, which reads the tables, and checks that the result can be trusted.
  template <class Body>
  auto reading(const Body& body);

  const ReadSource& source_;
  ReadTransaction read_;
};

}  // namespace graven::sqlite
