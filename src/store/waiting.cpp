// SPDX-License-Identifier: MIT
//
// Sorting the pairs, and the index of where each is. See waiting.hpp.
#include "store/waiting.hpp"

#include <algorithm>

namespace graven::store {
namespace {

using Pairs = std::vector<NewPair>;

/// Merges, because each batch is in order already.
void sort(Pairs& pairs) {
  std::vector<std::ptrdiff_t> bounds{0};
  for (std::size_t i = 1; i < pairs.size(); ++i) {
    if (pairs[i] < pairs[i - 1]) bounds.push_back(static_cast<std::ptrdiff_t>(i));
  }
  if (bounds.size() > pairs.size() / 64) return std::sort(pairs.begin(), pairs.end());
  bounds.push_back(static_cast<std::ptrdiff_t>(pairs.size()));
  Pairs merged(pairs.size());
  while (bounds.size() > 2) {
    std::vector<std::ptrdiff_t> fewer{0};
    for (std::size_t i = 0; i + 1 < bounds.size(); i += 2) {
      const auto begin = pairs.begin() + bounds[i];
      const auto middle = pairs.begin() + bounds[i + 1];
      const auto end = pairs.begin() + bounds[std::min(i + 2, bounds.size() - 1)];
      std::merge(begin, middle, middle, end, merged.begin() + bounds[i]);
      fewer.push_back(end - pairs.begin());
    }
    pairs.swap(merged);
    bounds.swap(fewer);
  }
}

}  // namespace

std::vector<NewPair> Waiting::take(std::size_t count) {
  Pairs taken;
  if (count == pairs_.size()) {
    taken.swap(pairs_);
  } else {
    const auto end = pairs_.begin() + static_cast<std::ptrdiff_t>(count);
    taken.assign(pairs_.begin(), end);
    pairs_.erase(pairs_.begin(), end);
  }
  done_ -= std::min(done_, count);
  if (found_ && count != 0) note_anew();
  sort(taken);
  return taken;
}

void Waiting::note(std::size_t from) {
  if (pairs_.size() * 2 > places_.size()) {
    constexpr std::size_t kFewest = 1024;
    std::size_t places = kFewest;
    while (places < pairs_.size() * 4) places *= 2;
    places_.reset(places);
    counts_.clear();
    from = 0;
  }
  std::size_t* count = nullptr;
  for (std::size_t i = from; i < pairs_.size(); ++i) {
    const NewPair& pair = pairs_[i];
    places_.enter(hash_of(pair.a, pair.b), static_cast<std::uint32_t>(i + 1));
    if (count == nullptr || pair.a != pairs_[i - 1].a) count = &counts_[pair.a];
    ++*count;
  }
}

void Waiting::note_anew() {
  places_.reset();
  counts_.clear();
  if (!pairs_.empty()) note(0);
}

}  // namespace graven::store
