// SPDX-License-Identifier: MIT
//
// Reads several records of one state, from the cache as long as it has them. See cache.hpp. One
// thread at a time.
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "cache/cache.hpp"
#include "port/merge.hpp"

namespace graven::cache {
namespace {

constexpr std::size_t kKeptOfARead = 2048;

}  // namespace

CachedView::CachedView(Cache& cache, port::Interactive& store) : cache_(cache), store_(store) {
  const std::optional<std::uint64_t> sequence = cache_.current_sequence();
  usable_ = sequence.has_value();
  sequence_ = sequence.value_or(0);
}

/// Reads from the store what is not in the table. The first time, checks whether what came from the
/// table is of the state read there.
template <class Read>
auto CachedView::from_below(const Read& read) {
  const bool first = !below_;
  if (first) {
    before_ = cache_.before();
    below_ = store_.view();
  }
  auto result = read(*below_);  // the first read fixes the view's state
  if (first) {
    if (!cache_.strictly_current() || cache_.sequence() != sequence_) {
      usable_ = false;
      mixed_ = cached_;
    }
    cache_.settle();
  }
  return result;
}

std::optional<Record> CachedView::load(const Key& key) {
  if (usable_) {
    if (auto found = cache_.look(key)) {
      cached_ = true;
      return std::move(*found);
    }
  }
  std::optional<Record> record = from_below([&](View& view) { return view.load(key); });
  cache_.fill(before_, key, record);
  return record;
}

void CachedView::load_many(std::span<const Key> keys,
                           const std::function<void(std::size_t, Record*)>& each) {
  const auto known = [this](const Key& key) {
    port::Known found = usable_ ? cache_.look(key) : std::nullopt;
    cached_ = cached_ || found;
    return found;
  };
  port::load_layers(keys, each, known, [this](std::span<const Key> missing, const auto& found) {
    from_below([&](View& view) {
      view.load_many(missing, [&](std::size_t i, Record* record) {
        if (missing.size() > kKeptOfARead) return found(i, record);
        std::optional<Record> kept;
        if (record != nullptr) kept = std::move(*record);
        cache_.fill(before_, missing[i], kept);
        found(i, kept ? &*kept : nullptr);
      });
      return true;
    });
  });
}

void CachedView::read(std::span<const port::ReadOp> ops,
                      base::FunctionRef<void(std::size_t, std::span<Row>)> each) {
  std::vector<port::ReadOp> missing;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    std::optional<std::optional<Record>> found;
    if (usable_ && ops[i].key) found = cache_.look(*ops[i].key);
    if (!found) {
      missing.push_back(ops[i]);
      places.push_back(i);
      continue;
    }
    cached_ = true;
    std::vector<Row> rows;
    if (*found) rows.push_back({*ops[i].key, std::move(**found)});
    each(i, rows);
  }
  if (missing.empty()) return;
  from_below([&](View& view) {
    view.read(missing, [&](std::size_t i, std::span<Row> rows) { each(places[i], rows); });
    return true;
  });
}

std::vector<Row> CachedView::scan(const port::Range& range, std::size_t limit) {
  return from_below([&](View& view) { return view.scan(range, limit); });
}

}  // namespace graven::cache
