// SPDX-License-Identifier: MIT
//
// What a work of much writing keeps at hand of the records it comes back to: those it has read;
// those beside them, where it comes back to one stretch of keys again and again (the nodes, the
// slots or entries of one dict), for a record read in its turn costs little beside one that is
// looked up; and those among them it has changed, which wait to be written in the order of their
// keys.
//
// How far it reads ahead: each miss pays for a few rows, each row that was read ahead for some more
// when it is first wanted, so that a stretch that is updated all over is soon here, and of one that
// is touched here and there little is read in vain.
//
// Always holds: what find() gives is what the store has under the key, or is to have, as long as
// wrote() is called for all that is written to it. Of what is larger than 8 KiB, or has no room,
// nothing is known.
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

class WorkingSet {
 public:
  /// It takes so many bytes at most, and 4 for each change that waits; 0: it keeps nothing.
  void bound(std::size_t bytes) noexcept { most_bytes_ = bytes; }

  /// Whether records of the space are come back to.
  static bool keeps(Space space) noexcept {
    return space == Space::kNode || space == Space::kEntry || space == Space::kSlot ||
           space == Space::kPage;
  }

  /// Whether it is known what is under the key; then `into` has it.
  bool find(const Key& key, std::optional<Record>& into);
  /// `record` was read from `below`, as find() did not know it. Reads ahead where that is due.
  void read(const Key& key, const std::optional<Record>& record, View& below);
  /// What the store has under the key from now on; nullptr: something else than before.
  void wrote(const Key& key, const Record* record) {
    // Mostly a new node, greater than all that were read.
    if (key.a <= greatest_[static_cast<std::size_t>(key.space)]) replace(key, record);
  }

  /// Takes a change, to be written later; false: it cannot, as it does not have the record.
  bool defer(const Key& key, const Record& record);
  /// Whether changes of the space wait to be written.
  [[nodiscard]] bool deferred(Space space) const noexcept {
    return deferred_in_[static_cast<std::size_t>(space)];
  }
  /// Gives all changes to `write`, some thousand at a time, in order. None waits any longer.
  void write_deferred(base::FunctionRef<void(std::vector<Change>)> write);

  /// It is full of what is no longer come back to.
  [[nodiscard]] bool outlived() const noexcept { return misses_when_full_ > count_; }
  /// With no change waiting, or to forget them.
  void clear() noexcept;

 private:
  /// A record as it lies in a chunk: in front of its integers and its body.
  struct Packed;
  /// Where one is: by the hash of its key. At 0 there is none.
  struct Place {
    std::uint32_t hash = 0;
    std::uint32_t at = 0;  // in units of kUnit

    friend bool operator==(const Place&, const Place&) = default;
  };
  struct Stretch {
    std::int64_t from = INT64_MAX;   // the least `a` that was missed before it was begun
    std::optional<Batches> ahead{};  // once it is begun: what has not been read in its turn
    std::size_t read_ahead = 0;
    std::size_t misses = 0;
    std::size_t used = 0;     // of what was read ahead
    std::size_t outside = 0;  // misses before `from`, and after its end
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
  std::array<std::int64_t, kSpaceCount> greatest_ = none();  // no key has a greater `a`

  std::vector<std::uint32_t> deferred_;  // where they are, and where they have been
  std::array<bool, kSpaceCount> deferred_in_{};

  std::map<std::pair<Space, std::int64_t>, Stretch> stretches_;  // by space and `a`, or 0
  std::array<std::pair<std::int64_t, Stretch*>, kSpaceCount> last_stretches_{};

  static std::array<std::int64_t, kSpaceCount> none() noexcept;
};

}  // namespace graven::store
