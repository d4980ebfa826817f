// SPDX-License-Identifier: MIT
//
// The read-ahead and write-back buffer (WorkingSet) of a bulk import. It keeps records that the
// import uses again: those it has read; those next to them, where it often reads in one stretch of
// keys (the nodes, or the slots or entries of one dict), because reading a row in sequence costs
// little compared with a lookup; and those of them that it has changed, which wait to be written in
// key order.
//
// How far it reads ahead: each miss pays for a few rows, and each row that was read ahead pays for
// some more when it is first used. So a stretch that is updated everywhere is soon loaded, and for
// one that is used only here and there few rows are read in vain.
//
// Always holds: find() gives what the store has under the key, or will have, as long as wrote() is
// called for everything that is written. Records larger than 8 KiB, or without room, are not known.
// Used by one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/function_ref.hpp"
#include "base/open_table.hpp"
#include "port/backend.hpp"
#include "port/record.hpp"
#include "port/scan.hpp"

namespace graven::store {

using port::Key;
using port::Record;
using port::Space;
using port::View;

class WorkingSet {
 public:
  /// Takes at most `bytes`, and 4 more for each change that waits; 0: it keeps nothing.
  void bound(std::size_t bytes) noexcept { most_bytes_ = bytes; }

  /// Whether the buffer keeps records of the space.
  static bool keeps(Space space) noexcept {
    return space == Space::kNode || space == Space::kEntry || space == Space::kSlot ||
           space == Space::kPage;
  }

  /// Whether the state under the key is known; then copies it to `into`.
  bool find(const Key& key, std::optional<Record>& into);
  /// Called when find() did not know `record` and it was read from `below`. Reads ahead where due.
  void read(const Key& key, const std::optional<Record>& record, View& below);
  /// Sets what the store has under the key from now on; nullptr: not known.
  void wrote(const Key& key, const Record* record) {
    // Most keys are of a new node, greater than all that were read.
    if (key.a <= greatest_[static_cast<std::size_t>(key.space)]) replace(key, record);
  }

  /// Keeps a change, to be written later; false if it cannot, because it does not have the record.
  bool defer(const Key& key, const Record& record);
  /// Whether changes of the space wait to be written.
  [[nodiscard]] bool deferred(Space space) const noexcept {
    return deferred_in_[static_cast<std::size_t>(space)];
  }
  /// Gives all waiting changes to `write`, a few thousand at a time, in key order.
  void write_deferred(base::FunctionRef<void(std::vector<port::Change>)> write);

  /// Whether it is full of records that are no longer used.
  [[nodiscard]] bool outlived() const noexcept { return misses_when_full_ > count_; }
  /// Forgets everything, also changes that wait.
  void clear() noexcept;

 private:
  /// The header of a record in a chunk; its integers and its body follow.
  struct Packed;
  /// The place of a record, found by the hash of its key. `at` 0: none.
  struct Place {
    std::uint32_t hash = 0;
    std::uint32_t at = 0;  // in units of kUnit

    friend bool operator==(const Place&, const Place&) = default;
  };
  struct Stretch {
    std::int64_t from = INT64_MAX;  // the least `a` that was missed before reading ahead began
    std::optional<port::Batches> ahead{};  // once it has begun: what is still to be read
    std::size_t read_ahead = 0;
    std::size_t misses = 0;
    std::size_t used = 0;     // rows read ahead that were used
    std::size_t outside = 0;  // misses before `from`, and after the end
    std::int64_t from_outside = INT64_MAX;
  };
  static constexpr std::size_t kUnit = 8;

  Place* place_of(const Key& key) noexcept;
  [[nodiscard]] Packed& packed(std::uint32_t at) const noexcept;
  bool keep(const Key& key, const std::optional<Record>& record, bool ahead);
  bool put(Place& place, const Key& key, const Record* record);
  void replace(const Key& key, const Record* record);
  std::uint32_t allocate(std::size_t units);
  bool make_place();
  Stretch& stretch_of(const Key& key);
  void read_ahead(Stretch& stretch, const Key& key, View& below);

  std::size_t most_bytes_ = 0;
  std::vector<std::unique_ptr<std::uint64_t[]>> chunks_;
  std::size_t used_ = 0;           // of the last chunk, in units
  base::OpenTable<Place> places_;  // at most half full
  std::size_t count_ = 0;
  std::size_t misses_when_full_ = 0;
  std::array<std::int64_t, port::kSpaceCount> greatest_ = none();  // no key has a greater `a`

  std::vector<std::uint32_t> deferred_;  // where they are, and where they have been before
  std::array<bool, port::kSpaceCount> deferred_in_{};

  std::map<std::pair<Space, std::int64_t>, Stretch> stretches_;  // by space and `a`, or 0
  std::array<std::pair<std::int64_t, Stretch*>, port::kSpaceCount> last_stretches_{};

  static std::array<std::int64_t, port::kSpaceCount> none() noexcept;
};

}  // namespace graven::store
