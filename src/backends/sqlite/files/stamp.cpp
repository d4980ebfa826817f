// SPDX-License-Identifier: MIT
//
// Reads and writes stamps. See stamp.hpp. Any thread, with a connection of its own.
#include "backends/sqlite/files/stamp.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <string_view>

#ifndef GRAVEN_SQLITE_SYSTEM
extern "C" {
void graven_sqlite_read_stamp(sqlite3*, unsigned char*);
int graven_sqlite_write_stamp(sqlite3*, const unsigned char*);
}
#endif

namespace graven::sqlite {
namespace {

constexpr std::string_view kMagic = "GRVN";
constexpr std::size_t kMagicAt = 16;

}  // namespace

bool Stamp::present() const noexcept {
  return std::memcmp(bytes.data() + kMagicAt, kMagic.data(), kMagic.size()) == 0;
}

std::uint64_t Stamp::number(std::size_t at) const noexcept {
  std::uint64_t value = 0;
  if (present()) std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

Stamp Stamp::next() const {
  std::random_device random;
  const Epoch before = epoch();
  Epoch epoch = 0;
  while (epoch == 0) epoch = std::uint64_t{random()} << 32U | random();
  Stamp stamp;
  std::memcpy(stamp.bytes.data(), &before, sizeof before);
  std::memcpy(stamp.bytes.data() + sizeof before, &epoch, sizeof epoch);
  std::copy(kMagic.begin(), kMagic.end(), stamp.bytes.begin() + kMagicAt);
  return stamp;
}

#ifdef GRAVEN_SQLITE_SYSTEM

Stamp read_stamp(sqlite3*) { return {}; }

int write_stamp(sqlite3*) { return SQLITE_OK; }

#else

Stamp read_stamp(sqlite3* connection) {
  Stamp stamp;
  graven_sqlite_read_stamp(connection, stamp.bytes.data());
  return stamp;
}

int write_stamp(sqlite3* connection) {
  return graven_sqlite_write_stamp(connection, read_stamp(connection).next().bytes.data());
}

#endif

}  // namespace graven::sqlite
