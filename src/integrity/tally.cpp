// SPDX-License-Identifier: MIT
//
// See tally.hpp.
#include "integrity/tally.hpp"

#include <fmt/format.h>

#include <numeric>

#include "base/hash.hpp"

namespace graven::integrity {
namespace {

void append(std::string& bytes, std::uint64_t number) {
  for (unsigned shift = 0; shift < 64; shift += 8) {
    bytes += static_cast<char>(number >> shift & 0xffU);
  }
}

}  // namespace

void Tally::add(const port::Key& key, const port::Record& record) {
  const port::Schema& schema = port::schema(key.space);
  buffer_.assign(1, static_cast<char>(key.space));
  append(buffer_, static_cast<std::uint64_t>(key.a));
  append(buffer_, static_cast<std::uint64_t>(key.b));
  append(buffer_, key.name.size());
  buffer_ += key.name;
  for (std::size_t i = 0; i < schema.integers.size(); ++i) {
    append(buffer_, static_cast<std::uint64_t>(record.integers[i]));
  }
  buffer_ += record.body;
  const base::Hash128 hash = base::hash_128(buffer_);
  Sum& sum = sums_[static_cast<std::size_t>(key.space)];
  sum.low += hash.low;
  sum.high += hash.high + (sum.low < hash.low ? 1 : 0);
  ++counts_[static_cast<std::size_t>(key.space)];
  bytes_ += buffer_.size();
}

std::uint64_t Tally::records() const noexcept {
  return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

std::string Tally::digest() const {
  std::string all;
  for (const Sum& sum : sums_) {
    append(all, sum.low);
    append(all, sum.high);
  }
  const base::Hash128 hash = base::hash_128(all);
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

std::string Tally::difference(const Tally& there) const {
  std::string text;
  for (std::size_t i = 0; i < port::kSpaceCount; ++i) {
    if (counts_[i] == there.counts_[i] && sums_[i] == there.sums_[i]) continue;
    text += fmt::format("{}{}: ", text.empty() ? "" : ", ",
                        port::schema(static_cast<port::Space>(i)).table);
    text += counts_[i] == there.counts_[i]
                ? fmt::format("{} records, not all the same", counts_[i])
                : fmt::format("{} records, {} there", counts_[i], there.counts_[i]);
  }
  return text;
}

}  // namespace graven::integrity
