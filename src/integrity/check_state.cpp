// SPDX-License-Identifier: MIT
//
// Writes the report, reports progress, and reads whole spaces. See check_state.hpp.
#include "integrity/check_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace graven::integrity::checking {

using port::Row;

namespace {

constexpr std::size_t kBatch = 1024;
constexpr std::size_t kBatchBytes = std::size_t{4} << 20U;

}  // namespace

// --- Stream

Row* Stream::peek() {
  if (at_ == batch_.size() && !rest_.ended()) fetch();
  return at_ == batch_.size() ? nullptr : &batch_[at_];
}

void Stream::fetch() {
  batch_ = rest_.next(view_, limit_);
  at_ = 0;
  if (rest_.ended()) return;
  std::size_t bytes = 0;
  for (const Row& row : batch_) bytes += row.record.body.size();
  // Bodies may be long: limit the next batch so that it fits in memory.
  limit_ = std::clamp<std::size_t>(kBatchBytes / (bytes / limit_ + 1), 1, kBatch);
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
    if (known.id == prefix) return graph::uid_of(known.name, constant_, id, kind);
  }
  return graph::uid_of("?", constant_, id, kind);  // the prefix was deleted
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

std::string Inspection::item_problem(const port::Record& item) const {
  const std::int64_t kind = item.integers[0];
  if (kind < 0 || kind > static_cast<std::int64_t>(port::ValueKind::kJson)) {
    return fmt::format("has the unknown kind {}", kind);
  }
  try {
    if (prove_item_ != nullptr) prove_item_(kind, item.body);
  } catch (const CorruptionError& error) {
    return fmt::format("is damaged: {}", graph::cause_of(error));
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

}  // namespace graven::integrity::checking
