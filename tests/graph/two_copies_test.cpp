// SPDX-License-Identifier: MIT
//
// Several gravens in one process, as a program and its plugins have them, work together as several
// processes do: what one has written the others read, closing takes nothing from the others, a
// lazy store has one writer, and a fork leaves all of them usable.
#include <graven/database.hpp>
#include <graven/error.hpp>

#include <chrono>
#include <dlfcn.h>
#include <filesystem>
#include <functional>
#include <link.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"
#include "graph/second_copy.hpp"

namespace graven::test {
namespace {

const std::filesystem::path kFile = SECOND_COPY;

const SecondCopy& load(const std::string& file, Lmid_t linked_apart = LM_ID_BASE) {
  void* library = ::dlmopen(linked_apart, file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  return *reinterpret_cast<const SecondCopy* (*)()>(::dlsym(library, "second_copy"))();
}

const SecondCopy& copy() {
  static const SecondCopy& loaded = load(kFile);
  return loaded;
}

class There {
 public:
  explicit There(const std::string& url, const SecondCopy& copy = test::copy())
      : copy_(copy), database_(copy.open(url.c_str(), error)) {}
  There(const There&) = delete;
  There& operator=(const There&) = delete;
  ~There() { close(); }

  [[nodiscard]] bool opened() const { return database_ != nullptr; }
  std::string set(const char* key, long value) { return copy_.set(database_, key, value); }
  long get(const char* key) { return copy_.get(database_, key); }
  long increment(const char* counter) { return copy_.increment(database_, counter); }
  void close() {
    if (database_ != nullptr) copy_.close(std::exchange(database_, nullptr));
  }

  std::string error;

 private:
  const SecondCopy& copy_;
  void* database_;
};

class TwoCopies : public ::testing::Test {
 protected:
  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "state.db";
};

TEST_F(TwoCopies, WhatOneHasWrittenTheOtherReads) {
  Database here(path_);
  There there(path_);
  ASSERT_TRUE(there.opened()) << there.error;
  here["n"] = 0;
  for (long i = 0; i < 300; ++i) {
    EXPECT_EQ(there.set("n", 2 * i), "");
    EXPECT_EQ(here["n"].get<long>(), 2 * i);
    here["n"] = 2 * i + 1;
    EXPECT_EQ(there.get("n"), 2 * i + 1);
  }
  EXPECT_TRUE(here.check().ok());
}

TEST_F(TwoCopies, ThreadsOfBothCount) {
  constexpr int kTimes = 150;
  Database here(path_);
  There there(path_);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTimes; ++i) {
        if (t % 2 == 0) {
          here.incr("n");
        } else {
          there.increment("n");
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(here.incr("n"), 4 * kTimes + 1);
}

TEST_F(TwoCopies, ClosingOneTakesNothingFromTheOther) {
  Database here(path_);
  here.incr("n");
  for (int i = 0; i < 5; ++i) {
    There there(path_);
    there.increment("n");
  }
  for (int i = 0; i < 40; ++i) here.incr("n");
  here.wait_durable();
  EXPECT_TRUE(std::filesystem::exists(path_ + "-wal"));
  Child other([&] { return Database(path_).incr("n") == 47; });
  EXPECT_TRUE(other.succeeded());
  EXPECT_EQ(here.incr("n"), 48);
  There there(path_);
  here.close();
  EXPECT_EQ(there.increment("n"), 49);
}

TEST_F(TwoCopies, ALazyStoreHasOneWriterOfThem) {
  const std::string lazy = "sqlite:///" + path_ + "?persist=lazy";
  { Database made(path_); }
  There there(lazy);
  ASSERT_TRUE(there.opened()) << there.error;
  const auto refused = [](const std::function<void()>& act) -> std::string {
    try {
      act();
      return "nothing was refused";
    } catch (const BusyError& error) {
      return error.what();
    }
  };
  // At once: nobody of this copy is about to end.
  const auto begun = std::chrono::steady_clock::now();
  const std::string opening = refused([&] { Database here(lazy); });
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
  EXPECT_NE(opening.find("another copy of graven in this process"), std::string::npos) << opening;
  Database here(path_);
  const std::string writing = refused([&] { here["n"] = 1; });
  EXPECT_NE(writing.find("another copy of graven in this process"), std::string::npos) << writing;
  EXPECT_EQ(there.set("n", 2), "");
  there.close();
  EXPECT_EQ(here["n"].get<long>(), 2);
  here["n"] = 3;
}

TEST_F(TwoCopies, BothGoOnInAChildOfAFork) {
  constexpr int kTimes = 60;
  Database here(path_);
  There there(path_);
  here.incr("n");
  there.increment("n");
  Child child([&] {
    for (int i = 0; i < kTimes; ++i) {
      here.incr("n");
      there.increment("n");
    }
    return true;
  });
  for (int i = 0; i < kTimes; ++i) {
    there.increment("n");
    here.incr("n");
  }
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(here.incr("n"), 4 * kTimes + 3);
  EXPECT_TRUE(here.check().ok());
}

/// The bytes that a loaded library has in every thread's static block, of which there is little.
std::size_t bytes_in_each_thread(const std::filesystem::path& library) {
  struct Wanted {
    std::string name;
    std::size_t bytes = 0;
  } wanted{library.filename()};
  ::dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* context) {
        Wanted& one = *static_cast<Wanted*>(context);
        if (!std::string_view(object->dlpi_name).ends_with(one.name)) return 0;
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          if (object->dlpi_phdr[i].p_type == PT_TLS) one.bytes = object->dlpi_phdr[i].p_memsz;
        }
        return 1;
      },
      &wanted);
  return wanted.bytes;
}

TEST_F(TwoCopies, ManyFit) {
  copy();
  EXPECT_GT(bytes_in_each_thread(kFile), 0U);
  EXPECT_LE(bytes_in_each_thread(kFile), 96U);
  Database here(path_);
  std::vector<std::unique_ptr<There>> all;
  for (int i = 0; i < 8; ++i) {
    const std::string name = folder_ / ("copy" + std::to_string(i) + ".so");
    std::filesystem::copy_file(kFile, name);
    all.push_back(std::make_unique<There>(path_, load(name)));
    ASSERT_TRUE(all.back()->opened()) << all.back()->error;
    EXPECT_EQ(all.back()->increment("n"), i + 1);
  }
  EXPECT_EQ(here.incr("n"), 9);
}

/// With a C library of its own, so no strings come or go.
TEST_F(TwoCopies, OneThatIsLinkedApart) {
  Database here(path_);
  There there(path_, load(kFile, LM_ID_NEWLM));
  ASSERT_TRUE(there.opened());
  for (long i = 0; i < 40; ++i) {
    EXPECT_EQ(there.increment("n"), 2 * i + 1);
    EXPECT_EQ(here.incr("n"), 2 * i + 2);
  }
}

}  // namespace
}  // namespace graven::test
