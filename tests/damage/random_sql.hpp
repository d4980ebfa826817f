// SPDX-License-Identifier: MIT
//
// SQL at random on the tables of a store: what a program that knows no better, or knows better than
// is good, may have done to it. Wrong types, wrong references, NULL, huge numbers, bytes flipped in
// bodies, rows deleted and doubled, triggers, indexes, views, tables of another shape.
//
// One thread at a time.
#pragma once

#include <string>
#include <vector>

#include "base/random.hpp"

namespace graven::test {

/// Runs up to `most` statements on a file; those that did something, and the error of others.
std::vector<std::string> damage_by_sql(Random& random, const std::string& path, std::size_t most);

/// Runs a statement on a file; SQLite's message where it failed.
std::string run_sql(const std::string& path, const std::string& sql);

}  // namespace graven::test
