// SPDX-License-Identifier: MIT
//
// Writes a store as one complete file: creates it beside the target under a temporary name, seals
// and syncs it, then renames it. The seal is 32 bytes after the last page: "graven-backup-1\n", the
// size of the file before it, and a hash of that, both little-endian. SQLite only reads the pages
// that its header counts, so a sealed file is a usable store. A row of `meta` says that the file
// has a seal, so that a file that lost its seal is noticed.
//
// Always holds: the destructor removes the partial file unless it was put in place. While the
// object lives, the file is locked (flock), which distinguishes it from one that a killed process
// has left. The object makes its own system calls on a partial file only while no connection of
// this process has it open, or on the one descriptor that stays open longer than they do.
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
  /// Creates an empty file of mode 0600, `<target>.partial-<random>`, and removes those that killed
  /// processes have left.
  explicit PartialFile(const Target& target);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  [[nodiscard]] const Target& as_target() const noexcept { return partial_; }
  [[nodiscard]] std::uint64_t size() const;
  void append(const void* bytes, std::size_t size);
  /// Gives the store in the file a new stamp (stamp.hpp), so that no WAL of another file fits it.
  void stamp();
  /// The same, and adds the row and the seal.
  void seal();
  /// Whether the store in the file has the row.
  [[nodiscard]] bool says_sealed() const;
  /// Removes the row.
  void unseal();
  void sync();

  enum class Mode : std::uint8_t {
    kNew,            ///< UsageError if the target exists
    kReplace,        ///< an existing target is replaced
    kReplaceKeeping  ///< an existing target is renamed to `<target>.before-restore`
  };
  /// Throws now what put_in_place() would throw; to be called before long work.
  static void require_place(const Target& target, Mode mode);
  /// Renames the file to the target and syncs the folder. BusyError, and nothing is changed, while
  /// any process has the target open. Returns the name of the old target if it was kept, else
  /// empty.
  std::string put_in_place(Mode mode);
  /// Renames the file to the target unless the target exists; whether it did.
  bool put_if_absent();

 private:
  [[noreturn]] void fail(const char* what) const;
  void exchange(const std::string& kept);

  const Target target_;
  Target partial_;
  std::optional<OwnDescriptor> descriptor_;
  bool in_place_ = false;
};

/// Copies a store from a file that nobody writes, without its seal. Returns whether it had one.
/// CorruptionError if the file was truncated, or changed since it was sealed, or lost its seal;
/// UnavailableError if it changes during the copy or is not complete in one file.
bool copy_whole_file(const Target& source, PartialFile& copy,
                     const std::function<void(std::uint64_t, std::uint64_t)>& progress);

/// Whether the file ends with a backup's seal. Does not verify it.
bool ends_with_seal(const Target& target);

/// The name that a store gets when another one takes its place.
std::string kept_name(const std::string& path);
/// The temporary name of a file with this inode just before it takes the place of a store. After
/// the exchange the old store has this name, until it gets kept_name().
std::string replaced_name(const std::string& path, std::uint64_t inode);
/// Whether a file with such a name is the replaced store, left by a process that was killed between
/// the two steps.
bool was_replaced(const std::string& path);

}  // namespace graven::sqlite
