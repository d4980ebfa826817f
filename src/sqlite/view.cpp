// SPDX-License-Identifier: MIT
//
// The read transaction of view.hpp. One thread at a time.
#include "sqlite/view.hpp"

#include "sqlite/fork.hpp"

namespace graven::sqlite {

SqliteView::SqliteView(const ViewSource& source) noexcept
    : source_(source), generation_(base::fork_generation()) {}

SqliteView::~SqliteView() {
  if (!lease_ || !lease_->ours()) return;
  Connection& connection = **lease_;
  if (!connection.in_transaction()) return;
  // Neither prepares anything: both statements ran or were prepared with the first read.
  if (connection.commit().try_execute() != SQLITE_OK) connection.try_execute("ROLLBACK");
}

Tables& SqliteView::tables() {
  if (generation_ != base::fork_generation()) throw_begun_by_parent(source_.name);
  if (!lease_) {
    Lease lease = source_.readers.lease(source_.patience);
    static_cast<void>(lease->commit());  // prepared now, so that the end cannot fail on it
    lease->begin().execute();
    lease_.emplace(std::move(lease));
  }
  return (*lease_)->tables();
}

std::optional<store::Record> SqliteView::load(const store::Key& key) {
  auto record = tables().load(key);
  verify();
  return record;
}

void SqliteView::load_many(std::span<const store::Key> keys,
                           const std::function<void(std::size_t, store::Record*)>& each) {
  tables().load_many(keys, each);
  verify();
}

std::vector<store::Row> SqliteView::scan(const store::Range& range, std::size_t limit) {
  auto rows = tables().scan(range, limit);
  verify();
  return rows;
}

std::uint64_t SqliteView::count_items(std::int64_t map) {
  const std::uint64_t count = tables().count_items(map);
  verify();
  return count;
}

}  // namespace graven::sqlite
