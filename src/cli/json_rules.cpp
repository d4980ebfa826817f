// SPDX-License-Identifier: MIT
//
// See json_rules.hpp. Pure functions; any thread.
#include "cli/json_rules.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace graven::cli {
namespace {

// Up to this size, duplicate keys are found by comparing all pairs.
constexpr std::size_t kFewKeys = 12;

}  // namespace

// simdjson's first stage only says that there is such a fault, not where.
std::size_t string_fault(std::string_view text, bool control) noexcept {
  bool inside = false;
  std::size_t opened = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (!inside) {
      inside = byte == '"';
      opened = at;
    } else if (byte == '\\') {
      ++at;
    } else if (byte == '"') {
      inside = false;
    } else if (control && byte < 0x20) {
      return at;
    }
  }
  return opened;
}

// Finds the pairs of equal keys first, then moves values and removes the later entries.
void drop_duplicate_keys(Data::Container& dict) {
  const std::size_t count = dict.keys.size();
  std::vector<std::pair<std::size_t, std::size_t>> pairs;  // (earlier, later) with equal keys
  if (count <= kFewKeys) {
    for (std::size_t later = 1; later < count; ++later) {
      for (std::size_t earlier = 0; earlier < later; ++earlier) {
        if (dict.keys[earlier] == dict.keys[later]) {
          pairs.emplace_back(earlier, later);
          break;
        }
      }
    }
  } else {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
      const int compared = dict.keys[left].compare(dict.keys[right]);
      return compared != 0 ? compared < 0 : left < right;
    });
    for (std::size_t i = 1, first = 0; i < count; ++i) {
      if (dict.keys[order[i]] == dict.keys[order[first]]) {
        pairs.emplace_back(order[first], order[i]);
      } else {
        first = i;
      }
    }
    std::sort(pairs.begin(), pairs.end(),
              [](const auto& left, const auto& right) { return left.second < right.second; });
  }
  if (pairs.empty()) return;
  std::vector<bool> dropped(count);
  for (const auto& [earlier, later] : pairs) {
    dict.items[earlier] = std::move(dict.items[later]);
    dropped[later] = true;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (dropped[i]) continue;
    if (kept != i) {
      dict.keys[kept] = std::move(dict.keys[i]);
      dict.items[kept] = std::move(dict.items[i]);
    }
    ++kept;
  }
  dict.keys.resize(kept);
  dict.items.resize(kept);
}

bool is_reserved_key(std::string_view key) noexcept {
  return key == "$bytes" || key == "$float" || key == "$link" || key == "$dict" ||
         key == "$label" || key == "$entry" || key == "$node";
}

std::string position_in(std::string_view text, std::size_t offset, std::uint64_t first_line,
                        std::uint64_t first_byte) {
  const std::string_view before = text.substr(0, offset);
  const auto line =
      first_line + static_cast<std::uint64_t>(std::count(before.begin(), before.end(), '\n'));
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = newline == std::string_view::npos ? offset : offset - newline - 1;
  return "line " + std::to_string(line) + ", column " + std::to_string(column + 1) + " (byte " +
         std::to_string(first_byte + offset) + ")";
}

}  // namespace graven::cli
