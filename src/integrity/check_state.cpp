// SPDX-License-Identifier: MIT
//
// The report, progress, and reading whole spaces. See check_state.hpp.
#include "integrity/check_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace graven::graph::checking {

using store::KeyShape;
using store::Row;
using store::Space;

namespace {

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kBatch = 1024;
constexpr std::size_t kBatchBytes = std::size_t{4} << 20U;

}  // namespace

// --- Stream

Stream::Stream(store::View& view, Space space) : view_(view), range_{.space = space} {
  if (store::schema(space).shape != KeyShape::kId && !store::schema(space).a.empty()) {
    range_.a = kLeast;
    range_.a_to = kMost;
  }
  range_.include_empty_name = true;
}

Row* Stream::peek() {
  if (at_ == batch_.size() && !done_) fetch();
  return at_ == batch_.size() ? nullptr : &batch_[at_];
}

void Stream::fetch() {
  const std::size_t limit = limit_;
  batch_ = view_.scan(range_, limit);
  at_ = 0;
  done_ = batch_.size() < limit;
  if (done_) return;
  std::size_t bytes = 0;
  for (const Row& row : batch_) bytes += row.record.body.size();
  // Bodies may be long: the next batch is to fit in memory however long they are.
  limit_ = std::clamp<std::size_t>(kBatchBytes / (bytes / limit + 1), 1, kBatch);
  const std::optional<store::Range> rest = store::behind(range_, batch_.back().key);
  done_ = !rest;
  if (rest) range_ = *rest;
}

// --- Inspection

std::uint32_t Inspection::find(NodeId id) const noexcept {
  const auto at =
      std::lower_bound(nodes.begin(), nodes.end(), id,
                       [](const NodeInfo& node, NodeId wanted) { return node.id < wanted; });
  if (at == nodes.end() || at->id != id) return kNoNode;
  return static_cast<std::uint32_t>(at - nodes.begin());
}

std::string Inspection::uid(NodeId id, std::int64_t prefix, NodeKind kind) const {
  for (const PrefixInfo& known : prefixes) {
    if (known.id == prefix) return uid_of(known.name, constant_, id, kind);
  }
  return uid_of("?", constant_, id, kind);  // of a prefix that was deleted
}

void Inspection::add(std::string node, std::string what) {
  if (report.problems.size() < kMostProblems) {
    report.problems.push_back({std::move(node), std::move(what)});
  } else {
    ++untold_;
  }
}

void Inspection::tell(std::uint64_t total) {
  told_ = done_;
  if (progress_) progress_(done_, total);
}

void Inspection::finish() {
  if (untold_ != 0) {
    report.problems.push_back({{}, fmt::format("and {} more problems like these", untold_)});
    untold_ = 0;
  }
  tell(done_);
}

std::string Inspection::item_problem(const store::Record& item) const {
  const std::int64_t kind = item.integers[0];
  if (kind < 0 || kind > static_cast<std::int64_t>(store::ValueKind::kJson)) {
    return fmt::format("has the unknown kind {}", kind);
  }
  try {
    if (prove_item_ != nullptr) prove_item_(kind, item.body);
  } catch (const CorruptionError& error) {
    return fmt::format("is damaged: {}", cause_of(error));
  }
  return {};
}

std::int64_t integer_of(jsonb::Element element, const char* otherwise) {
  const auto number = element.type == jsonb::Type::kInt || element.type == jsonb::Type::kInt5
                          ? jsonb::integer(element)
                          : std::nullopt;
  if (!number) throw CorruptionError(otherwise);
  return *number;
}

}  // namespace graven::graph::checking
