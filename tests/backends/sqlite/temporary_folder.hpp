// SPDX-License-Identifier: MIT
//
// A folder of a test's own, gone with it, and short ways to write to a store in it. In memory
// where there is room: what is tested is which calls are made, not how long a disk takes; on a
// disk, if there is one, for those who need a warm file. In the child of a fork the folder stays:
// it is the parent's.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include "backends/sqlite/backend.hpp"
#include "port/opened.hpp"

namespace graven::test {

class TemporaryFolder {
 public:
  enum class Place { kAnywhere, kDisk };

  explicit TemporaryFolder(Place place = Place::kAnywhere) {
    const auto folder = place == Place::kDisk ? std::filesystem::temp_directory_path() : root();
    std::string pattern = (folder / "graven-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    if (::getpid() != owner_) return;
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  static std::filesystem::path root() {
    std::error_code error;
    const auto space = std::filesystem::space("/dev/shm", error);
    if (!error && space.available > (std::uintmax_t{1} << 30) && ::access("/dev/shm", W_OK) == 0) {
      return "/dev/shm";
    }
    return std::filesystem::temp_directory_path();
  }

  pid_t owner_ = ::getpid();
  std::filesystem::path path_;
};

inline port::Key node_key(std::int64_t id) { return {.space = port::Space::kNode, .a = id}; }
inline port::Key counter_key(const std::string& name) {
  return {.space = port::Space::kCounter, .a = 1, .name = name};
}

inline port::Record node_record(std::uint64_t version, std::string body) {
  return {.version = version, .integers = {1, 2, 3, 4}, .body = std::move(body)};
}
inline port::Record counter_record(std::uint64_t version, std::int64_t value) {
  return {.version = version, .integers = {value}};
}

/// The clock's value in a transaction or view.
inline std::uint64_t clock_of(port::View& view) {
  const auto clock = view.load(port::clock_key());
  return clock ? static_cast<std::uint64_t>(clock->integers[0]) : 0;
}

/// Applies the changes with versions of the next commit, advances the clock, commits.
inline std::uint64_t write(port::WriteTransaction& transaction, std::vector<port::Change> changes) {
  const std::uint64_t id = clock_of(transaction) + 1;
  for (port::Change& change : changes) {
    if (change.record) change.record->version = id;
  }
  changes.push_back({port::clock_key(),
                     port::Record{.version = id, .integers = {static_cast<std::int64_t>(id)}}});
  transaction.apply(changes);
  transaction.commit(id);
  return id;
}
inline std::uint64_t write(port::Backend& backend, std::vector<port::Change> changes) {
  return write(*records(backend).begin(soon()), std::move(changes));
}

/// Adds to a counter: reads it, writes it, commits.
inline void increment(port::Backend& backend, const std::string& name) {
  const auto transaction = records(backend).begin(soon());
  const auto before = transaction->load(counter_key(name));
  write(*transaction,
        {{counter_key(name), counter_record(0, (before ? before->integers[0] : 0) + 1)}});
}

inline std::int64_t count(port::Backend& backend, const std::string& name) {
  const auto record = records(backend).load(counter_key(name));
  return record ? record->integers[0] : 0;
}

}  // namespace graven::test
