// SPDX-License-Identifier: MIT
//
// See view.hpp.
#include "backends/postgres/view.hpp"

#include <utility>

#include <graven/error.hpp>

#include "backends/postgres/reads.hpp"

namespace graven::postgres {

using port::Key;
using port::Range;
using port::ReadOp;
using port::Record;
using port::Row;
using port::StateVersion;

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kForOneRead{60};

}  // namespace

class SnapshotView final : public port::View {
 public:
  SnapshotView(std::shared_ptr<Store> store, std::shared_ptr<Views> views,
               const port::Partition& partition)
      : store_(std::move(store)), views_(std::move(views)), partition_(partition) {
    const std::scoped_lock lock(views_->mutex_);
    views_->open_.insert(this);
  }
  ~SnapshotView() override {
    {
      const std::scoped_lock lock(views_->mutex_);
      views_->open_.erase(this);
    }
    if (!connection_ || !connection_->of_this_process()) return;
    try {
      const base::Uninterrupted end;
      connection_->script("ROLLBACK", Clock::now() + std::chrono::seconds(1));
      store_->connections.give_back(std::move(connection_));
    } catch (...) {  // then it is closed
    }
  }

  std::optional<Record> load(const Key& key) override {
    const ReadOp op{.key = key};
    std::optional<Record> record;
    read_all({&op, 1}, [&](std::size_t, std::span<Row> rows, std::uint64_t) {
      if (!rows.empty()) record = std::move(rows.front().record);
    });
    return record;
  }

  void load_many(std::span<const Key> keys,
                 const std::function<void(std::size_t, Record*)>& each) override {
    std::vector<ReadOp> ops;
    ops.reserve(keys.size());
    for (const Key& key : keys) ops.push_back({.key = key});
    read_all(ops, [&](std::size_t i, std::span<Row> rows, std::uint64_t) {
      each(i, rows.empty() ? nullptr : &rows.front().record);
    });
  }

  std::vector<Row> scan(const Range& range, std::size_t limit) override {
    const ReadOp op{.range = range, .limit = limit};
    std::vector<Row> found;
    read_all({&op, 1}, [&](std::size_t, std::span<Row> rows, std::uint64_t) {
      found.assign(std::make_move_iterator(rows.begin()), std::make_move_iterator(rows.end()));
    });
    return found;
  }

  void read(std::span<const ReadOp> ops,
            base::FunctionRef<void(std::size_t, std::span<Row>)> each) override {
    read_all(ops, [&](std::size_t i, std::span<Row> rows, std::uint64_t) { each(i, rows); });
  }

  std::uint64_t count_items(std::int64_t map) override {
    const ReadOp op{.range = {.space = port::Space::kItem, .a = map, .include_empty_name = true},
                    .count = true};
    std::uint64_t items = 0;
    read_all({&op, 1}, [&](std::size_t, std::span<Row>, std::uint64_t count) { items = count; });
    return items;
  }

  [[nodiscard]] std::optional<StateVersion> state() const override { return state_; }

  /// Of Views::close(), with its mutex.
  void end() noexcept {
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    if (lock.owns_lock()) connection_.reset();
  }

 private:
  void read_all(std::span<const ReadOp> ops, port::ReadSink each) {
    const std::scoped_lock lock(mutex_);
    if (generation_ != base::fork_generation()) {
      throw UsageError(store_->facts.name +
                       ": a snapshot of the parent process cannot be used after fork; take one");
    }
    require_open();
    const Deadline deadline = Clock::now() + kForOneRead;
    try {
      if (lost_ || !connection_) begin(deadline);
      const ReadRequest request(store_->schema, partition_, ops);
      const Result answer = connection_->run(request.text(), request.parameters(), deadline);
      state_ = request.deliver(answer, each);
    } catch (const Failure& failure) {
      lost_ = true;
      require_open();
      raise(failure, store_->facts.name);
    }
    try {
      require_open();
    } catch (...) {
      connection_.reset();
      throw;
    }
  }

  void begin(Deadline deadline) {
    if (lost_) {
      throw UnavailableError(store_->facts.name +
                             ": the connection of this snapshot was lost; take a new one");
    }
    connection_ = store_->connections.take(deadline);
    connection_->script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", deadline);
  }

  void require_open() {
    const std::scoped_lock lock(views_->mutex_);
    if (views_->closed_) {
      throw ClosedError(store_->facts.name +
                        ": the store of this snapshot was closed; open it again");
    }
  }

  const std::shared_ptr<Store> store_;
  const std::shared_ptr<Views> views_;
  const port::Partition partition_;
  const std::uint64_t generation_ = base::fork_generation();
  std::mutex mutex_;  // of a read under way
  std::unique_ptr<Connection> connection_{};
  bool lost_ = false;
  std::optional<StateVersion> state_{};
};

void Views::close() noexcept {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  for (SnapshotView* const view : open_) view->end();
}

std::unique_ptr<port::View> make_view(std::shared_ptr<Store> store, std::shared_ptr<Views> views,
                                      const port::Partition& partition) {
  return std::make_unique<SnapshotView>(std::move(store), std::move(views), partition);
}

}  // namespace graven::postgres
