// SPDX-License-Identifier: MIT
//
// Several reads as one statement, and so of one state: the records by key of each space, the ranges
// of each space and form, and the newest state of the partition, in one UNION ALL.
//
// One thread at a time.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/postgres/parameters.hpp"
#include "backends/postgres/result.hpp"
#include "port/backend.hpp"

namespace graven::postgres {

class ReadRequest {
 public:
  /// `ops` must outlive it.
  ReadRequest(const std::string& schema, const port::Partition& partition,
              std::span<const port::ReadOp> ops);

  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] const Parameters& parameters() const noexcept { return parameters_; }

  /// Tells what was read; returns the state.
  port::StateVersion deliver(const Result& result, port::ReadSink each) const;

 private:
  const std::span<const port::ReadOp> ops_;
  std::string text_;
  Parameters parameters_;
};

/// One record and the state: parameters part, a, b or name.
std::string find_sql(const std::string& schema, port::Space space);
Parameters find_parameters(const port::Partition& partition, const port::Key& key);
std::optional<port::Record> found(const Result& result, port::StateVersion& state);

/// The record of a row whose columns version, i0, i1, i2, i3, body begin at `column`.
port::Record record_at(const Result& result, int row, int column);
/// The key of a row whose columns a, b, name begin at `column`.
port::Key key_at(const Result& result, int row, int column, port::Space space);

}  // namespace graven::postgres
