// SPDX-License-Identifier: MIT
//
// The answer to a statement, in PostgreSQL's binary format; and the error that the server or the
// connection gave instead.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "backends/postgres/libpq.hpp"

namespace graven::postgres {

/// What the server said no to, or the loss of the connection.
struct Failure {
  std::string state{};  ///< SQLSTATE; empty: the connection was lost, or the time was over
  std::string text{};   ///< in the server's or libpq's words
  bool sent = false;    ///< whether the server may have got the statement
};

class Result {
 public:
  Result() = default;
  explicit Result(PGresult* result) : result_(result) {}

  [[nodiscard]] int rows() const;
  [[nodiscard]] bool null(int row, int column) const;
  [[nodiscard]] std::string_view bytes(int row, int column) const;
  /// 0 where it is null.
  [[nodiscard]] std::int64_t int64(int row, int column) const;
  [[nodiscard]] std::uint64_t uint64(int row, int column) const {
    return static_cast<std::uint64_t>(int64(row, column));
  }
  [[nodiscard]] std::int32_t int32(int row, int column) const;
  [[nodiscard]] bool boolean(int row, int column) const;

 private:
  struct Clear {
    void operator()(PGresult* result) const noexcept { libpq().PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

}  // namespace graven::postgres
