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

class SqliteView final : public port::View {
 public:
  explicit SqliteView(const ReadSource& source) noexcept
      : source_(source), read_(source, "a snapshot or an iteration") {}
  SqliteView(const SqliteView&) = delete;
  SqliteView& operator=(const SqliteView&) = delete;

  std::optional<port::Record> load(const port::Key& key) override;
  void load_many(std::span<const port::Key> keys,
                 const std::function<void(std::size_t, port::Record*)>& each) override;
  std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override;
  bool any_orphans() override;
  std::uint64_t count_items(std::int64_t map) override;
  std::unique_ptr<port::SqlRows> sql(std::string_view text,
                                     const port::SqlParameters& parameters) override;

 private:
  /// Runs `body`, which reads the tables, and checks that the result can be trusted.
  template <class Body>
  auto reading(const Body& body);

  const ReadSource& source_;
  ReadTransaction read_;
};

}  // namespace graven::sqlite
