// SPDX-License-Identifier: MIT
//
// What the tests of backups share: a store with something of everything in it, and looks at a
// folder and at a file's bytes.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include <graven/graven.hpp>

#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {

inline void fill(const Database& db, int count = 400) {
  db.transaction([&] {
    db["people"] = Data::dict();
    for (int i = 0; i < count; ++i) {
      db["people"]["p" + std::to_string(i)] = Data::dict({{"name", "Ada"}, {"number", i}});
    }
    db["large"] = std::string(30'000, 'x');
    db.incr("made", count);
  });
}

/// Everything in the prefix used last, as plain data.
inline Data all_of(const Database& db) { return db.root().materialize(); }

inline std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline std::set<std::string> files_in(const TemporaryFolder& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    names.insert(entry.path().filename());
  }
  return names;
}

inline void expect_sound(const std::string& path) {
  const Database db(path, {.read_only = true});
  const CheckReport report = db.check();
  EXPECT_TRUE(report.ok()) << path << ": " << report.problems.front().what;
}

}  // namespace graven::test
