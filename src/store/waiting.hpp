// SPDX-License-Identifier: MIT
//
// Waiting pairs: new pairs of one space (edges, or the slots of large dicts) that are collected to
// be written in key order. A single batch of an import has a few for nearly every page of their
// table; all batches together fill the table from one end to the other.
//
// Always holds: no key is there twice. The first done() are of mutations that have ended. Used by
// one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/open_table.hpp"
#include "port/new_rows.hpp"

namespace graven::store {

using port::NewPair;
using port::Space;

class Waiting {
 public:
  /// `found`: whether find() and count() will be called.
  Waiting(Space space, bool found) noexcept : space_(space), found_(found) {}

  void add(std::span<const NewPair> pairs) {
    pairs_.insert(pairs_.end(), pairs.begin(), pairs.end());
    if (found_) note(pairs_.size() - pairs.size());
  }
  /// The mutations of all pairs so far have ended.
  void settle() noexcept { done_ = pairs_.size(); }
  /// Drops the pairs of the mutation that has not ended.
  void drop() noexcept {
    if (pairs_.size() == done_) return;
    pairs_.resize(done_);
    if (found_) note_anew();
  }
  void clear() noexcept {
    done_ = 0;
    drop();
  }
  /// Takes the first `count` pairs, in key order.
  std::vector<NewPair> take(std::size_t count);

  [[nodiscard]] Space space() const noexcept { return space_; }
  [[nodiscard]] bool empty() const noexcept { return pairs_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return pairs_.size(); }
  [[nodiscard]] std::size_t done() const noexcept { return done_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return pairs_.size() * sizeof(NewPair); }

  [[nodiscard]] const NewPair* find(std::int64_t a, std::int64_t b) const noexcept {
    const std::uint32_t* place = places_.find(hash_of(a, b), [&](std::uint32_t one) {
      return pairs_[one - 1].a == a && pairs_[one - 1].b == b;
    });
    return place != nullptr ? &pairs_[*place - 1] : nullptr;
  }
  /// How many pairs have this `a`.
  [[nodiscard]] std::size_t count(std::int64_t a) const {
    const auto at = counts_.find(a);
    return at == counts_.end() ? 0 : at->second;
  }

 private:
  static std::uint64_t hash_of(std::int64_t a, std::int64_t b) noexcept {
    return (static_cast<std::uint64_t>(a) * 31 + static_cast<std::uint64_t>(b)) *
               0x9e3779b97f4a7c15ULL >>
           20U;
  }
  /// Indexes the pairs from `from` on.
  void note(std::size_t from);
  void note_anew();

  Space space_;
  bool found_;
  std::vector<NewPair> pairs_;
  std::size_t done_ = 0;
  base::OpenTable<std::uint32_t> places_;  // each one more than the index in pairs_; half empty
  std::unordered_map<std::int64_t, std::size_t> counts_;
};

}  // namespace graven::store
