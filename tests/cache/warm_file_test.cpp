// SPDX-License-Identifier: MIT
//
// The warm file: what is found, what may be gone and what must be, against a model that knows
// how much was written since; the file itself, seen through /proc; damage; refusals; fork().
// Threads are in warm_file_threads_test.cpp.
#include "cache/warm_file.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <graven/error.hpp>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/temporary_folder.hpp"
#include "base/random.hpp"
#include "cache/hot/stamps.hpp"

namespace graven::test {
namespace {

using cache::WarmFile;

constexpr std::size_t kSmall = WarmFile::kMinBytes;  // one shard

std::optional<std::string> get(const WarmFile& warm, std::string_view key) {
  std::string value = "untouched";
  std::uint8_t kind = 77;
  if (warm.find(key, hash_of(key), value, kind)) return std::to_string(kind) + ":" + value;
  EXPECT_EQ(value, "untouched");
  EXPECT_EQ(kind, 77);
  return std::nullopt;
}

bool put(WarmFile& warm, std::string_view key, std::string_view value, std::uint8_t kind = 1) {
  return warm.put(key, hash_of(key), value, kind, warm.generation());
}

/// What of a file a record takes up.
std::size_t cost(std::size_t key, std::size_t value) { return (16 + key + value + 7) / 8 * 8; }

std::string bytes_of(Random& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.bits());
  return bytes;
}

class TheWarmFile : public ::testing::Test {
 protected:
  /// The descriptors of files that were made at this path and have no name any more.
  [[nodiscard]] std::vector<int> descriptors() const {
    std::vector<int> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
      if (target.starts_with(path_) && target.ends_with("(deleted)")) {
        found.push_back(std::stoi(entry.path().filename().string()));
      }
    }
    return found;
  }

  /// What smaps says of the flags of mappings of such files, a line each.
  [[nodiscard]] std::vector<std::string> mappings() const {
    std::ifstream smaps("/proc/self/smaps");
    std::vector<std::string> found;
    bool ours = false;
    for (std::string line; std::getline(smaps, line);) {
      if (line.find(path_) != std::string::npos) ours = true;
      if (line.starts_with("VmFlags:") && std::exchange(ours, false)) found.push_back(line + " ");
    }
    return found;
  }

  [[nodiscard]] std::string refusal(std::size_t bytes) const {
    try {
      const WarmFile warm(path_, bytes);
    } catch (const UnavailableError& error) {
      EXPECT_TRUE(descriptors().empty());
      return error.what();
    }
    return "";
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "warm";
};

TEST_F(TheWarmFile, KeepsEverySize) {
  WarmFile warm(path_, std::size_t{4} << 20);
  Random random;
  std::map<std::string, std::string> model;
  for (std::size_t key_size = 0; key_size <= 40; ++key_size) {
    for (std::size_t value_size = 0; value_size <= 40; ++value_size) {
      std::string key = bytes_of(random, key_size);
      if (key_size >= 2) {
        key[0] = static_cast<char>(value_size);
        key[1] = static_cast<char>(key_size);
      }
      const std::string value = bytes_of(random, value_size);
      const auto kind = static_cast<std::uint8_t>(random.bits());
      ASSERT_TRUE(put(warm, key, value, kind));
      model[key] = std::to_string(kind) + ":" + value;
      ASSERT_EQ(get(warm, key), model[key]);
    }
  }
  for (const auto& [key, value] : model) ASSERT_EQ(get(warm, key), value);
  EXPECT_EQ(warm.stats().entries, model.size());
}

TEST_F(TheWarmFile, ShowsTheNewestOfAKey) {
  WarmFile warm(path_, kSmall);
  EXPECT_EQ(get(warm, "a"), std::nullopt);
  for (const std::string value : {"one", "", "a longer one than before", "2"}) {
    EXPECT_TRUE(put(warm, "a", value, 5));
    EXPECT_EQ(get(warm, "a"), "5:" + value);
    EXPECT_EQ(warm.stats().entries, 1U);
  }
  EXPECT_TRUE(put(warm, "a", "2", 255));
  EXPECT_EQ(get(warm, "a"), "255:2");
}

TEST_F(TheWarmFile, RefusesWhatIsTooLongAndForgetsWhatItWas) {
  WarmFile warm(path_, kSmall);
  const std::size_t longest = kSmall / 8 - 16;
  EXPECT_EQ(warm.longest(), longest);
  const std::string value(longest - 1, 'v');
  EXPECT_TRUE(put(warm, "a", value));
  EXPECT_EQ(get(warm, "a"), "1:" + value);
  EXPECT_FALSE(put(warm, "a", value + "v"));
  EXPECT_EQ(get(warm, "a"), std::nullopt) << "an older value than the one put last";
  EXPECT_FALSE(put(warm, std::string(longest + 1, 'k'), ""));
  EXPECT_EQ(warm.stats().entries, 0U);
}

TEST_F(TheWarmFile, OverwritesTheOldest) {
  WarmFile warm(path_, kSmall);
  const std::size_t fits = kSmall / cost(8, 100);
  // Many laps: positions are counted anew several times.
  for (std::size_t i = 0; i < 40 * fits; ++i) {
    const std::string key = std::to_string(10'000'000 + i);
    ASSERT_TRUE(put(warm, key, key + std::string(92, 'v')));
    if (i < 2 * fits || i % 100 != 0) continue;
    for (std::size_t back = 0; back < 2 * fits; ++back) {
      const std::string old = std::to_string(10'000'000 + i - back);
      const auto found = get(warm, old);
      if (back + 1 < fits) {
        ASSERT_EQ(found, "1:" + old + std::string(92, 'v')) << i << " " << back;
      }
      if (back > fits) {
        ASSERT_EQ(found, std::nullopt) << i << " " << back;
      }
    }
    ASSERT_LE(warm.stats().entries, fits);
    ASSERT_GE(warm.stats().entries, fits - 1);
    ASSERT_LE(warm.index_bytes(), fits * 12 + 192);
  }
}

TEST_F(TheWarmFile, CountsNoneThatIsOverwritten) {
  WarmFile warm(path_, kSmall);
  // Four others a lap.
  for (int i = 0; i < 50; ++i) {
    put(warm, std::to_string(i), "v");
    for (std::size_t j = 0; j < kSmall / 4 / cost(3, 100); ++j) {
      put(warm, "one", std::string(100, j % 2 == 0 ? 'v' : 'w'));
    }
    ASSERT_LE(warm.stats().entries, 6U) << i;
    ASSERT_GE(warm.stats().entries, std::min(i, 3) + 1U) << i;
  }
}

TEST_F(TheWarmFile, LeavesAnUnchangedRecordWhereItIs) {
  WarmFile warm(path_, kSmall);
  put(warm, "other", "v");
  for (std::size_t i = 0; i < kSmall / 100; ++i) {
    EXPECT_TRUE(put(warm, "one", std::string(100, 'v')));
  }
  EXPECT_EQ(get(warm, "other"), "1:v");
}

TEST_F(TheWarmFile, FindsNothingErased) {
  WarmFile warm(path_, kSmall);
  for (int i = 0; i < 300; ++i) put(warm, std::to_string(i), "v");
  EXPECT_FALSE(warm.erase(hash_of("no such key")));
  for (int i = 0; i < 300; i += 2) {
    EXPECT_TRUE(warm.erase(hash_of(std::to_string(i))));
    EXPECT_FALSE(warm.erase(hash_of(std::to_string(i))));
  }
  for (int i = 0; i < 300; ++i) EXPECT_EQ(get(warm, std::to_string(i)).has_value(), i % 2 != 0);
  EXPECT_EQ(warm.stats().entries, 150U);
  put(warm, "0", "again");
  EXPECT_EQ(get(warm, "0"), "1:again");
}

TEST_F(TheWarmFile, KeepsTheLaterOfTwoKeysWithOneHash) {
  WarmFile warm(path_, kSmall);
  std::string value;
  std::uint8_t kind = 0;
  warm.put("a", 42, "of a", 1, warm.generation());
  EXPECT_FALSE(warm.find("b", 42, value, kind));
  EXPECT_FALSE(warm.find("ab", 42, value, kind));
  warm.put("b", 42, "of b", 1, warm.generation());
  EXPECT_FALSE(warm.find("a", 42, value, kind));
  EXPECT_TRUE(warm.find("b", 42, value, kind));
  EXPECT_EQ(value, "of b");
  EXPECT_TRUE(warm.erase(42));
  EXPECT_FALSE(warm.find("b", 42, value, kind));
}

TEST_F(TheWarmFile, FindsNothingOfAnOlderGeneration) {
  WarmFile warm(path_, std::size_t{8} << 20);
  for (int i = 0; i < 1000; ++i) put(warm, std::to_string(i), "old");
  const std::uint64_t before = warm.generation();
  warm.clear();
  EXPECT_EQ(warm.generation(), before + 1);
  EXPECT_EQ(warm.stats().entries, 0U);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(get(warm, std::to_string(i)), std::nullopt);

  EXPECT_FALSE(warm.put("0", hash_of("0"), "late", 1, before));
  EXPECT_EQ(get(warm, "0"), std::nullopt);
  EXPECT_TRUE(warm.put("0", hash_of("0"), "new", 1, before + 1));
  EXPECT_FALSE(warm.put("0", hash_of("0"), "late", 1, before));
  EXPECT_EQ(get(warm, "0"), "1:new") << "taken out by an older one";
  EXPECT_FALSE(warm.put("0", hash_of("0"), "early", 1, before + 2));
  EXPECT_EQ(get(warm, "0"), std::nullopt) << "a newer one exists";

  put(warm, "1", "new");
  warm.clear(before + 10);
  EXPECT_EQ(warm.generation(), before + 10);
  EXPECT_EQ(get(warm, "1"), std::nullopt);
  put(warm, "1", "new");
  warm.clear(before);
  EXPECT_EQ(warm.generation(), before + 11);
  EXPECT_EQ(get(warm, "1"), std::nullopt);
}

TEST_F(TheWarmFile, CountsWhatItDoesAndWhatItTakes) {
  WarmFile warm(path_, std::size_t{64} << 20);
  EXPECT_EQ(warm.stats().bytes, std::size_t{64} << 20);
  for (std::size_t i = 1; i <= 400'000; ++i) {
    ASSERT_TRUE(put(warm, std::to_string(i), "value"));
    if (i % 50'000 == 0) {
      ASSERT_EQ(warm.stats().entries, i);
      ASSERT_LE(warm.index_bytes(), 12 * i + 64 * 192);
      ASSERT_GE(warm.index_bytes(), 9 * i);
    }
  }
  for (int i = 0; i < 1000; ++i) get(warm, std::to_string(i));  // but for 0
  EXPECT_EQ(warm.stats().hits, 999U);
  EXPECT_EQ(warm.stats().misses, 1U);
}

// What is found is the newest; what is not was erased, or so much came after it that it must
// have been overwritten. A file of one shard, so that it is known how much.
TEST_F(TheWarmFile, DoesAsTheModel) {
  struct Known {
    std::string value;
    std::size_t written;  // all bytes up to it
  };
  Random random;
  std::size_t gone = 0;
  for (const std::size_t bytes : {kSmall, 3 * kSmall + 4096, 15 * kSmall}) {
    for (const std::size_t keys : {20, 700, 30000}) {
      WarmFile warm(path_, bytes);
      std::map<std::string, Known> model;
      std::size_t written = 0;
      const std::size_t longest = random.one_in(2) ? 60 : 3000;
      for (int i = 0; i < 60'000 / kSlow; ++i) {
        const std::string key = "key " + std::to_string(random.below(keys));
        if (random.one_in(20'000)) {
          warm.clear();
          model.clear();
        } else if (random.one_in(10)) {
          const bool there = get(warm, key).has_value();
          ASSERT_EQ(warm.erase(hash_of(key)), there);
          ASSERT_EQ(get(warm, key), std::nullopt);
          model.erase(key);
        } else if (random.one_in(2)) {
          const auto kind = static_cast<std::uint8_t>(random.bits());
          const std::string value = bytes_of(random, random.below(longest));
          ASSERT_TRUE(put(warm, key, value, kind));
          model[key] = {std::to_string(kind) + ":" + value, written};
          written += cost(key.size(), value.size());
          ASSERT_EQ(get(warm, key), model[key].value);
        } else {
          const auto found = get(warm, key);
          const auto known = model.find(key);
          if (known == model.end()) {
            ASSERT_EQ(found, std::nullopt) << i;
          } else if (found) {
            ASSERT_EQ(*found, known->second.value) << i;
          } else {
            // Up to an eighth is left out at the end of a lap.
            ASSERT_GT(written - known->second.written, bytes / 8 * 7) << i;
            ++gone;
          }
        }
      }
      EXPECT_LE(warm.stats().entries, bytes / 24);
    }
  }
  EXPECT_GT(gone, 0U);
}

TEST_F(TheWarmFile, TakesDamageForAMiss) {
  Random random;
  WarmFile warm(path_, kSmall);
  std::map<std::string, std::string> model;
  for (int i = 0; i < 500; ++i) {
    const std::string key = std::to_string(i);
    model[key] = bytes_of(random, random.below(80));
    put(warm, key, model[key], 9);
  }
  ASSERT_EQ(descriptors().size(), 1U);
  const int file = descriptors()[0];
  std::size_t missed = 0;
  for (int i = 0; i < 20'000 / kSlow; ++i) {
    char byte = 0;
    const auto at = static_cast<off_t>(random.below(500 * 40));
    ASSERT_EQ(::pread(file, &byte, 1, at), 1);
    const char damaged = static_cast<char>(byte ^ (1 << random.below(8)));
    ASSERT_EQ(::pwrite(file, &damaged, 1, at), 1);
    if (i % 50 != 0) continue;
    for (const auto& [key, value] : model) {
      const auto found = get(warm, key);
      if (found) {
        ASSERT_EQ(*found, "9:" + value);
      }
      missed += found ? 0 : 1;
    }
  }
  EXPECT_GT(missed, 0U);
}

TEST_F(TheWarmFile, TakesARecordOfALapAgoForAMiss) {
  WarmFile warm(path_, kSmall);
  const std::size_t fits = kSmall / cost(4, 20);
  std::string older(kSmall, '\0');
  for (const char* lap : {"first", "later"}) {
    const int file = descriptors().at(0);
    ASSERT_EQ(::pread(file, older.data(), older.size(), 0), static_cast<ssize_t>(kSmall));
    for (std::size_t i = 0; i < fits; ++i)
      put(warm, std::to_string(1000 + i), lap + std::string(15, '.'));
  }
  ASSERT_EQ(get(warm, "1100"), "1:later...............");
  ASSERT_EQ(::pwrite(descriptors().at(0), older.data(), older.size(), 0),
            static_cast<ssize_t>(kSmall));
  for (std::size_t i = 0; i < fits; ++i)
    ASSERT_EQ(get(warm, std::to_string(1000 + i)), std::nullopt);
}

TEST_F(TheWarmFile, HasAFileWithoutAName) {
  std::ofstream(path_) << "somebody's";
  {
    const WarmFile warm(path_, 3 * kSmall);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
    ASSERT_EQ(descriptors().size(), 1U);
    const int file = descriptors()[0];
    EXPECT_NE(::fcntl(file, F_GETFD) & FD_CLOEXEC, 0);
    struct stat status {};
    ASSERT_EQ(::fstat(file, &status), 0);
    EXPECT_EQ(status.st_nlink, 0U);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
    EXPECT_EQ(static_cast<std::size_t>(status.st_size), 3 * kSmall);
    EXPECT_GE(static_cast<std::size_t>(status.st_blocks) * 512, 3 * kSmall) << "not reserved";
    ASSERT_EQ(mappings().size(), 1U);
    EXPECT_NE(mappings()[0].find(" dc "), std::string::npos) << "a child would have it";
    EXPECT_NE(mappings()[0].find(" dd "), std::string::npos) << "a core dump would have it";
    EXPECT_NE(mappings()[0].find(" rr "), std::string::npos) << "would be read ahead";
  }
  EXPECT_TRUE(descriptors().empty());
  EXPECT_TRUE(mappings().empty());
  std::string text;
  std::ifstream(path_) >> text;
  EXPECT_EQ(text, "somebody's");
}

TEST_F(TheWarmFile, SaysWhyThereCanBeNone) {
  for (const std::size_t bytes : {std::size_t{0}, kSmall - 1, WarmFile::kMaxBytes + 1}) {
    const std::string message = refusal(bytes);
    EXPECT_NE(message.find(path_), std::string::npos) << message;
    EXPECT_NE(message.find("give it from 65536 to "), std::string::npos) << message;
  }
  {
    struct rlimit before {};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit tiny = before;
    tiny.rlim_cur = kSmall;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tiny), 0);
    const std::string message = refusal(2 * kSmall);
    const std::string fits = refusal(kSmall);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_NE(message.find(path_), std::string::npos) << message;
    EXPECT_NE(message.find("raise that limit"), std::string::npos) << message;
    EXPECT_EQ(fits, "");
  }
  struct statfs disk {};
  ASSERT_EQ(::statfs(folder_.path().c_str(), &disk), 0);
  // Elsewhere it might take the last block of a disk before it is refused.
  constexpr auto kTmpfs = 0x01021994;
  const auto size =
      static_cast<std::size_t>(disk.f_blocks) * static_cast<std::size_t>(disk.f_bsize);
  if (disk.f_type == kTmpfs && size != 0) {
    const std::string message = refusal(2 * size);
    EXPECT_NE(message.find(path_), std::string::npos) << message;
    EXPECT_NE(message.find("make room on its disk"), std::string::npos) << message;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  path_ = folder_ / "no such folder/warm";
  const std::string message = refusal(kSmall);
  EXPECT_NE(message.find(path_), std::string::npos) << message;
  EXPECT_NE(message.find("make its folder writable"), std::string::npos) << message;
}

TEST_F(TheWarmFile, IsIdleInAForkedChild) {
  WarmFile warm(path_, kSmall);
  for (int i = 0; i < 300; ++i) put(warm, std::to_string(i), "parent's");
  const pid_t child = ::fork();
  if (child == 0) {
    bool good = mappings().empty();
    warm.child_after_fork();
    warm.child_after_fork();  // of a child's child
    good = good && descriptors().empty() && !get(warm, "7") && !put(warm, "7", "child's") &&
           !get(warm, "7") && !warm.erase(hash_of("7")) && warm.stats().entries == 0 &&
           warm.stats().misses == 0 && warm.index_bytes() == 0;
    warm.clear();
    good = good && !put(warm, "7", "child's") && !get(warm, "7");
    warm.~WarmFile();
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  for (int i = 0; i < 300; ++i) ASSERT_EQ(get(warm, std::to_string(i)), "1:parent's");
  EXPECT_TRUE(put(warm, "7", "newer"));
  EXPECT_EQ(get(warm, "7"), "1:newer");
}

}  // namespace
}  // namespace graven::test
