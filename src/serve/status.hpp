// SPDX-License-Identifier: MIT
//
// Statistics as JSON for programs and as text for people. Pure functions; any thread.
#pragma once

#include <graven/stats.hpp>

#include <string>
#include <vector>

namespace graven::serve {

/// {"cache": {"hits": 1, ...}, ..., "connections": [...]}; times in seconds.
std::string to_json(const Stats& stats, const std::vector<PoolStats>& pools);

/// A few aligned lines.
std::string to_text(const Stats& stats, const std::vector<PoolStats>& pools);

/// "12.3 MB", "1.4 ms".
std::string shown_bytes(std::uint64_t bytes);
std::string shown_time(double seconds);

}  // namespace graven::serve
