// SPDX-License-Identifier: MIT
//
// A read transaction as the port's View.
//
// Always holds: the connection is leased and the transaction begun with the first read, not
// before: a view nobody reads holds nothing and pins no state. Until it is destroyed it keeps
// checkpoints from passing its state.
//
// One thread at a time. In the child of a fork every use throws and the destructor does nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "sqlite/pool.hpp"
#include "store/backend.hpp"

namespace graven::sqlite {

/// What a view needs of its store.
struct ViewSource {
  Pool& readers;
  const std::string& name;
  std::chrono::milliseconds patience;
  /// Throws where what was read cannot be trusted (a file read without locks has changed).
  std::function<void()> verify;
};

class SqliteView final : public store::View {
 public:
  explicit SqliteView(const ViewSource& source) noexcept;
  SqliteView(const SqliteView&) = delete;
  SqliteView& operator=(const SqliteView&) = delete;
  ~SqliteView() override;

  std::optional<store::Record> load(const store::Key& key) override;
  void load_many(std::span<const store::Key> keys,
                 const std::function<void(std::size_t, store::Record*)>& each) override;
  std::vector<store::Row> scan(const store::Range& range, std::size_t limit) override;
  std::uint64_t count_items(std::int64_t map) override;

 private:
  Tables& tables();
  void verify() const {
    if (source_.verify) source_.verify();
  }

  const ViewSource& source_;
  const std::uint64_t generation_;
  std::optional<Lease> lease_;
};

}  // namespace graven::sqlite
