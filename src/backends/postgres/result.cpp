// SPDX-License-Identifier: MIT
//
// See result.hpp. One thread at a time.
#include "backends/postgres/result.hpp"

#include <endian.h>

#include <cstring>

namespace graven::postgres {

int Result::rows() const { return result_ ? libpq().PQntuples(result_.get()) : 0; }

bool Result::null(int row, int column) const {
  return libpq().PQgetisnull(result_.get(), row, column) != 0;
}

std::string_view Result::bytes(int row, int column) const {
  return {libpq().PQgetvalue(result_.get(), row, column),
          static_cast<std::size_t>(libpq().PQgetlength(result_.get(), row, column))};
}

std::int64_t Result::int64(int row, int column) const {
  std::uint64_t number = 0;
  const std::string_view value = bytes(row, column);
  if (value.size() != sizeof number) return 0;
  std::memcpy(&number, value.data(), sizeof number);
  return static_cast<std::int64_t>(be64toh(number));
}

std::int32_t Result::int32(int row, int column) const {
  std::uint32_t number = 0;
  const std::string_view value = bytes(row, column);
  if (value.size() != sizeof number) return 0;
  std::memcpy(&number, value.data(), sizeof number);
  return static_cast<std::int32_t>(be32toh(number));
}

bool Result::boolean(int row, int column) const {
  const std::string_view value = bytes(row, column);
  return !value.empty() && value.front() != 0;
}

}  // namespace graven::postgres
