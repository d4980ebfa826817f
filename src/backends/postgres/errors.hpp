// SPDX-License-Identifier: MIT
//
// What a Failure means: as an error that graven throws, or as the result of a commit.
//
// Pure functions; any thread.
#pragma once

#include <string>

#include "backends/postgres/result.hpp"
#include "port/batch.hpp"

namespace graven::postgres {

/// Throws the error that a failed read or any other call but a commit ends with.
[[noreturn]] void raise(const Failure& failure, const std::string& store);

/// What a commit that failed comes to.
port::CommitResult result_of(const Failure& failure, bool resent);

}  // namespace graven::postgres
