// SPDX-License-Identifier: MIT
//
// A store as one whole file on its way to its place: made beside it under a name of its own,
// sealed, synced, renamed. The seal is 32 bytes after the last page: "graven-backup-1\n", the
// size of what is before it, and a hash of that, both little-endian. SQLite reads as many pages
// as the header says, so a sealed file is a store as it stands. Inside, a row of `meta` says that
// there is a seal: without it what lost its seal would pass for a store that never had one.
//
// Always holds: a partial file is gone with its object unless it was put in its place, and while
// the object lives its file is locked (flock), so what a killed process has left is told from
// what is being made. A file system call of ours is made on a partial file only while no
// connection of this process has it open, or on the one descriptor that outlives them.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "backends/sqlite/pool/connection.hpp"
#include "backends/sqlite/vfs/own_descriptor.hpp"

namespace graven::sqlite {

class PartialFile {
 public:
  /// An empty file of mode 0600, `<target>.partial-<random>`; takes away those that killed
  /// processes have left.
  explicit PartialFile(const Target& target);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  [[nodiscard]] const Target& as_target() const noexcept { return partial_; }
  [[nodiscard]] std::uint64_t size() const;
  void append(const void* bytes, std::size_t size);
  /// Gives a store in it a stamp of its own (stamp.hpp): no WAL of another file is for it.
  void stamp();
  /// The same, and adds the row and the seal.
  void seal();
  /// Whether the store in it has the row.
  [[nodiscard]] bool says_sealed() const;
  /// Takes the row away.
  void unseal();
  void sync();

  enum class Mode : std::uint8_t {
    kNew,            ///< UsageError where something is there already
    kReplace,        ///< what is there goes
    kReplaceKeeping  ///< what is there becomes `<target>.before-restore`
  };
  /// Throws what put_in_place() would as things are now; a look before work that takes long.
  static void require_place(const Target& target, Mode mode);
  /// Puts it in its place, and the place on the disk. BusyError, and nothing is changed, while
  /// any process has what is there open. Gives the name of what was kept, or nothing.
  std::string put_in_place(Mode mode);
  /// Gives it its name, unless something has that; whether it did.
  bool put_if_absent();

 private:
  [[noreturn]] void fail(const char* what) const;
  void exchange(const std::string& kept);

  const Target target_;
  Target partial_;
  std::optional<OwnDescriptor> descriptor_;
  bool in_place_ = false;
};

/// Copies the store in a file that nobody writes, without its seal; whether there was one.
/// CorruptionError where it was cut, or altered since it was sealed, also where the seal itself is
/// gone; UnavailableError where it changes or is not in one file.
bool copy_whole_file(const Target& source, PartialFile& copy,
                     const std::function<void(std::uint64_t, std::uint64_t)>& progress);

/// Whether a file ends as a backup does. What it is a seal of is not looked at.
bool ends_with_seal(const Target& target);

/// The name a store gets when another takes its place.
std::string kept_name(const std::string& path);
/// The name that a file with this inode has just before it takes the place of a store, and that the
/// store has from then on until it gets the one above.
std::string replaced_name(const std::string& path, std::uint64_t inode);
/// Whether a file with such a name is the store that was replaced, as a process that was killed in
/// between has left it.
bool was_replaced(const std::string& path);

}  // namespace graven::sqlite
