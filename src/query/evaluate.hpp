// SPDX-License-Identifier: MIT
//
// Says whether rows satisfy a condition, and which nodes that will need.
//
// Always holds: the verdict is that of Python over plain data (include/graven/query.hpp says where
// it differs). What is fetched ahead changes nothing about it.
//
// Functions on the Reader they are given; one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "query/expression.hpp"
#include "query/reader.hpp"

namespace graven::query {

enum class Verdict : std::uint8_t { kFalse, kTrue, kError };

/// Null is true.
Verdict evaluate(Reader& reader, const Datum& row, const Expression* expression);

/// Which nodes below a row are read.
struct Needs {
  bool content = false;        // the node at this place itself
  std::vector<Step> steps{};   // what is read of it …
  std::vector<Needs> below{};  // … and, for each of these, of that
  std::vector<Needs> items{};  // none or one: what is read of each item of the list
  [[nodiscard]] bool node() const noexcept { return content || !steps.empty() || !items.empty(); }
};

void add(Needs& needs, const Path& path, bool content = false);
void add(Needs& needs, const Expression* expression);

/// Fetches what the rows need, level by level.
void fetch(Reader& reader, std::span<const Datum> rows, const Needs& needs);

}  // namespace graven::query
