// SPDX-License-Identifier: MIT
//
// A loss of power: of what was written to a file since its last sync any sector is there or not. No
// opening of what is left is refused because a stamp and a WAL do not agree, and what is there is
// sound; with synchronous=full every acknowledged commit is there.
//
// GRAVEN_ROUNDS sets how many images (60), GRAVEN_SEED repeats a run's choices.
#include <graven/error.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace {

struct Operation {
  enum Kind : std::uint8_t { kWrite, kTruncate, kSync, kAcknowledged } kind;
  int file;  // 0: the database, 1: its WAL
  off_t at;
  std::string bytes;
};

bool recording = false;
std::string recorded;  // the database
std::vector<Operation> operations;

void record(int descriptor, Operation::Kind kind, off_t at, std::string bytes = {}) {
  if (!recording) return;
  std::array<char, 4096> name{};
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  if (::readlink(link.c_str(), name.data(), name.size() - 1) < 0) return;
  if (recorded == name.data()) operations.push_back({kind, 0, at, std::move(bytes)});
  if (recorded + "-wal" == name.data()) operations.push_back({kind, 1, at, std::move(bytes)});
}

ssize_t recording_pwrite(int descriptor, const void* bytes, std::size_t size, off_t at) {
  record(descriptor, Operation::kWrite, at, {static_cast<const char*>(bytes), size});
  return ::pwrite(descriptor, bytes, size, at);
}

int recording_truncate(int descriptor, off_t size) {
  record(descriptor, Operation::kTruncate, size);
  return ::ftruncate(descriptor, size);
}

}  // namespace

// What SQLite calls of this program: a sync is a mark in the record.
extern "C" int fdatasync(int descriptor) {
  record(descriptor, Operation::kSync, 0);
  return 0;
}
extern "C" int fsync(int descriptor) { return fdatasync(descriptor); }

namespace graven::test {
namespace {

using Random = std::mt19937;

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Those sectors of a write that made it.
void apply(std::string& file, const Operation& operation, unsigned percent, Random& random) {
  constexpr std::size_t kSector = 512;
  if (operation.kind == Operation::kTruncate) {
    if (random() % 100 < percent) file.resize(static_cast<std::size_t>(operation.at));
    return;
  }
  const auto start = static_cast<std::size_t>(operation.at);
  for (std::size_t done = 0; done < operation.bytes.size();) {
    const std::size_t step =
        std::min(kSector - (start + done) % kSector, operation.bytes.size() - done);
    if (random() % 100 < percent) {
      if (file.size() < start + done + step) file.resize(start + done + step);
      file.replace(start + done, step, operation.bytes, done, step);
    }
    done += step;
  }
}

class PowerLoss : public ::testing::TestWithParam<sqlite::Synchronous> {};

TEST_P(PowerLoss, NothingIsRefusedAndNothingIsBlended) {
  const char* text = std::getenv("GRAVEN_SEED");
  const unsigned seed = text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10))
                                        : std::random_device{}();
  std::cout << "repeat with GRAVEN_SEED=" << seed << '\n';
  const char* rounds = std::getenv("GRAVEN_ROUNDS");
  const int images = rounds != nullptr ? std::atoi(rounds) : 60;
  Random random(seed);
  const TemporaryFolder folder;
  const std::string path = folder / "state.db";
  recorded = path;
  operations.clear();
  std::array<std::string, 2> base;
  {
    increment(*sqlite::open(path), "a");
    sqlite3_vfs* system = sqlite3_vfs_find("unix");
    ASSERT_EQ(system->xSetSystemCall(system, "pwrite",
                                     reinterpret_cast<sqlite3_syscall_ptr>(recording_pwrite)),
              SQLITE_OK);
    system->xSetSystemCall(system, "pwrite64",
                           reinterpret_cast<sqlite3_syscall_ptr>(recording_pwrite));
    system->xSetSystemCall(system, "ftruncate",
                           reinterpret_cast<sqlite3_syscall_ptr>(recording_truncate));
    base[0] = bytes_of(path);
    recording = true;
    const Opened store = sqlite::open(path, {.synchronous = GetParam(), .checkpoint_pages = 25});
    for (int number = 1; number <= 250; ++number) {
      const auto transaction = store->begin(soon());
      std::vector<port::Change> changes{{counter_key("a"), counter_record(0, number)},
                                        {counter_key("b"), counter_record(0, number)}};
      const auto node = static_cast<std::int64_t>(random() % 60) + 1;
      changes.push_back({node_key(node), node_record(0, std::string(random() % 4000, 'x'))});
      write(*transaction, std::move(changes));
      operations.push_back({Operation::kAcknowledged, 0, number, {}});
      if (random() % 40 == 0) static_cast<void>(store->end_bulk(soon()));  // a checkpoint
    }
    recording = false;
  }
  const std::string image = folder / "image.db";
  recorded = image + "?";
  int with_wal = 0;
  for (int at = 0; at < images; ++at) {
    const std::size_t stop = random() % operations.size();
    std::array<std::string, 2> files = base;
    std::array<std::vector<const Operation*>, 2> pending;
    std::int64_t acknowledged = 0;
    for (std::size_t i = 0; i < stop; ++i) {
      const Operation& operation = operations[i];
      auto& waiting = pending[static_cast<std::size_t>(operation.file)];
      if (operation.kind == Operation::kAcknowledged) {
        acknowledged = operation.at;
      } else if (operation.kind != Operation::kSync) {
        waiting.push_back(&operation);
      } else {
        for (const Operation* one : waiting) {
          apply(files[static_cast<std::size_t>(operation.file)], *one, 100, random);
        }
        waiting.clear();
      }
    }
    for (std::size_t file = 0; file < files.size(); ++file) {
      const unsigned percent = random() % 5 * 25;
      for (const Operation* one : pending[file]) apply(files[file], *one, percent, random);
    }
    for (const char* suffix : {"-shm", "-owners"}) std::filesystem::remove(image + suffix);
    std::ofstream(image, std::ios::binary | std::ios::trunc) << files[0];
    std::ofstream(image + "-wal", std::ios::binary | std::ios::trunc) << files[1];
    with_wal += files[1].empty() ? 0 : 1;
    const Opened store = sqlite::open(image);
    EXPECT_TRUE(store->check().empty()) << at;
    const std::int64_t a = count(*store, "a");
    EXPECT_TRUE(a == count(*store, "b") || (a == 1 && count(*store, "b") == 0)) << at;
    if (GetParam() == sqlite::Synchronous::kFull) {
      EXPECT_GE(a, acknowledged) << at;
    }
  }
  EXPECT_GT(with_wal, 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, PowerLoss, ::testing::Values(sqlite::Synchronous::kNormal, sqlite::Synchronous::kFull),
    [](const auto& one) { return one.param == sqlite::Synchronous::kFull ? "Full" : "Normal"; });

}  // namespace
}  // namespace graven::test
