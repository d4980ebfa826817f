// SPDX-License-Identifier: MIT
//
// A view of one state, though the server has only the newest one: commits keep what they replace
// while there are views (hold.lua), and a view reads that together with the newest records.
//
// Always holds: for each key that was changed since the view's state, the overlay has what was
// there then. If that is no longer complete, ConflictError.
//
// Used by one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "backends/redis/holds.hpp"
#include "backends/redis/reading.hpp"
#include "port/merge.hpp"
#include "port/view.hpp"

namespace graven::redis {

class SnapshotView final : public port::View {
 public:
  /// Sees the state of its first read.
  SnapshotView(std::shared_ptr<Core> core, std::shared_ptr<Holds> holds,
               const port::Partition& partition);
  ~SnapshotView() override;

  /// The deadline of the reads from now on; without one, each may take 30 s.
  void set_deadline(std::optional<Deadline> deadline) noexcept { deadline_ = deadline; }
  /// Reads nothing: fixes the state.
  void begin();

  std::optional<port::Record> load(const port::Key& key) override;
  void load_many(std::span<const port::Key> keys,
                 const std::function<void(std::size_t, port::Record*)>& each) override;
  std::vector<port::Row> scan(const port::Range& range, std::size_t limit) override;
  void read(std::span<const port::ReadOp> ops,
            base::FunctionRef<void(std::size_t, std::span<port::Row>)> each) override;
  [[nodiscard]] std::optional<port::StateVersion> state() const override { return state_; }
  std::uint64_t count_items(std::int64_t map) override;

 private:
  void run(Reading& reading);
  void take(const Reading& reading, const port::StateVersion& newest);
  [[noreturn]] void fail_old() const;
  std::vector<port::Row> page(const port::Range& range, std::size_t count);
  std::vector<port::Row> listed_page(const port::Range& range, std::size_t count);
  const std::vector<port::Key>& list(port::Space space);
  std::vector<port::Row> merged(const port::Range& range, std::size_t limit,
                                std::optional<std::vector<port::Row>> first);

  const std::shared_ptr<Core> core_;
  const std::shared_ptr<Holds> holds_;
  const port::Partition partition_;
  std::optional<Deadline> deadline_{};
  std::optional<port::StateVersion> state_{};
  port::StateVersion newest_{};  // which the overlay reaches
  port::Overlay overlay_{};
  std::map<port::Space, std::vector<port::Key>> lists_{};
};

}  // namespace graven::redis
