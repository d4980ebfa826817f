// SPDX-License-Identifier: MIT
//
// Implements Session (opens and closes a prefix), Pin's end, and uids. See scope.hpp.
#include <fmt/format.h>

#include <random>
#include <utility>

#include "base/text.hpp"
#include "graph/prefixes.hpp"
#include "graph/scope.hpp"
#include "port/scan.hpp"
#include "store/incomplete.hpp"

namespace graven::graph {
namespace {

using port::Key;
using port::Record;
using port::Row;
using port::Space;
using port::View;
using store::Work;

constexpr std::string_view kDefaultPrefix = "main";

Key prefix_key(const std::string& name) { return {.space = Space::kPrefix, .name = name}; }

bool has_prefix_id(View& view, std::int64_t id) {
  bool found = false;
  port::each_row(view, {.space = Space::kPrefix}, 256, [&](const Row& row) {
    found = row.record.integers[0] == id;
    return !found;
  });
  return found;
}

/// The names of a few prefixes, for a message: "'a', 'b' and others"; empty if there are none.
std::string some_prefixes(View& view) {
  constexpr std::size_t kNamed = 5;
  const std::vector<Row> rows = view.scan({.space = Space::kPrefix}, kNamed + 1);
  std::string names;
  for (std::size_t i = 0; i < std::min(rows.size(), kNamed); ++i) {
    names += fmt::format("{}'{}'", i == 0 ? "" : ", ", rows[i].key.name);
  }
  return rows.size() > kNamed ? names + " and others" : names;
}

/// An id that no prefix has; at most three bytes, because every node's row contains it.
std::int64_t free_prefix_id(View& view) {
  std::random_device device;
  std::uniform_int_distribution<std::int64_t> any(2, (1 << 23) - 1);
  std::int64_t id = 1;
  while (has_prefix_id(view, id)) id = any(device);
  return id;
}

void check_prefix_name(std::string_view name) {
  if (!base::is_name(name) || name.find(':') != name.npos) {
    throw BadValueError(
        fmt::format("'{}' cannot be a prefix: it needs 1 to 200 bytes of UTF-8 without ':' and "
                    "control characters",
                    name));
  }
}

}  // namespace

// --- Session

Session::Session(const std::shared_ptr<store::Store>& store, Options options)
    : heap_(Heap::of(store)),
      use_(store),
      options_(std::move(options)),
      store_constant_(heap_->backend().facts().constant),
      prefix_(options_.new_prefix ? std::string() : options_.prefix) {
  if (!prefix_.empty()) check_prefix_name(prefix_);
  open_prefix();
  heap_->attach(pins_);
}

Session::~Session() { close(); }

Heap& Session::heap() const {
  if (closed()) {
    throw ClosedError("the database was closed; open it again with its path");
  }
  return *heap_;
}

void Session::close() noexcept {
  if (closed_.exchange(true)) return;
  heap_->store().end_of(this);
  heap_->close_one(pins_);
  use_.end();
}

void Session::close_flushed() {
  // The child of a fork must not flush what its parent's lazy store has not flushed.
  const bool own = generation_ == base::fork_generation();
  heap_->store().end_of(this);
  auto* const write_back = own ? port::facet<port::WriteBack>(heap_->backend()) : nullptr;
  if (!closed() && write_back != nullptr) write_back->flush();
  if (closed_.exchange(true)) return;
  heap_->store().end_of(this);  // transactions begun meanwhile
  heap_->close_one(pins_);
  try {
    if (write_back != nullptr) write_back->flush();  // what was written meanwhile
  } catch (...) {
    heap_->attach(pins_);
    closed_ = false;
    throw;
  }
  use_.end();
}

void Session::require_prefix() const {
  if (root_.load() == 0) throw KeyNotFound(missing_);
}

TransactionStep::TransactionStep(std::shared_ptr<Session> session)
    : TransactionStep(session, session->limits()) {}

TransactionStep::TransactionStep(std::shared_ptr<Session> session, const store::Limits& limits)
    : session_(std::move(session)), step_(session_->heap().store().begin(limits, session_.get())) {
  static_cast<void>(session_->heap());  // ClosedError if close() ran before this step began
}

void Session::open_prefix() {
  store::Store& store = heap_->store();
  const auto adopt = [&](const Record& record) {
    const std::scoped_lock lock(*adopting_);
    prefix_id_.store(record.integers[0]);
    root_.store(record.integers[1]);
  };
  {
    const std::unique_ptr<View> view = store.view();
    heap_->look_for_leftovers(*view);  // in the same read
    const bool by_default = prefix_.empty() && !options_.new_prefix;
    if (prefix_.empty()) {
      prefix_ = by_default ? std::string(kDefaultPrefix) : free_prefix_name(*view);
    }
    if (const auto known = store::find_in_whole(*view, prefix_key(prefix_), store.name())) {
      adopt(*known);
      return;
    }
    if (by_default || store.read_only()) {
      // A caller that named no prefix must not get a new empty one in a store that has data.
      const std::string others = some_prefixes(*view);
      if (!others.empty() || store.read_only()) {
        missing_ = fmt::format(
            "{} has no prefix '{}'; it has {}: {}", store.name(), prefix_,
            others.empty() ? "none" : others,
            store.read_only()
                ? "open one that it has, or open it for writing to make a new one"
                : fmt::format("open one of those by name, or name '{}' to make it", prefix_));
        if (!by_default) throw KeyNotFound(missing_);
        return;
      }
    }
  }
  Record opened;
  heap_->store().write(
      [&](Work& work) {
        if (const auto known = store::find_in_whole(work, prefix_key(prefix_), store.name())) {
          opened = *known;
        } else {
          NodeRecord root{.id = work.next_id(Space::kNode), .prefix = free_prefix_id(work)};
          root.anchor = root.id;
          jsonb::put_header(root.body, jsonb::Type::kObject, 0);
          opened.integers = {root.prefix, root.id};
          save(work, std::move(root));
        }
        work.put(prefix_key(prefix_), opened);
        work.remember_last_prefix(opened.integers[0]);
      },
      limits());
  adopt(opened);
}

// --- Pins and uids

Pin::~Pin() {
  if (root_) return;
  Session& session = scope_->session();
  if (Pins::unpin(*count_) && !session.closed()) session.heap_->unpinned(id());
}

std::string uid_of(const Session& session, NodeId id, NodeKind kind) {
  return uid_of(session.prefix(), session.store_constant(), id, kind);
}

std::string uid_of(std::string_view prefix, std::uint64_t store_constant, NodeId id,
                   NodeKind kind) {
  // 48 bits of milliseconds, 15 bits of sequence and 65 bits of the store: its constant and one
  // more bit. See docs/design/ids.md.
  const auto bits = static_cast<std::uint64_t>(id);
  const std::uint64_t sequence = bits & 0x7fffU;
  const std::uint64_t high = (bits >> 15U) << 16U | sequence << 1U | 1U;
  return fmt::format("{}:{}{}", prefix, kind == NodeKind::kDict ? 'D' : 'L',
                     base::to_ulid(high, store_constant));
}

std::optional<ParsedUid> parse_uid(const Session& session, std::string_view uid) {
  const std::string& prefix = session.prefix();
  if (uid.size() != prefix.size() + 2 + 26 || !uid.starts_with(prefix) ||
      uid[prefix.size()] != ':') {
    return std::nullopt;
  }
  const char kind = uid[prefix.size() + 1];
  if (kind != 'D' && kind != 'L') return std::nullopt;
  const std::optional<base::Ulid> ulid = base::from_ulid(uid.substr(prefix.size() + 2));
  if (!ulid || ulid->low != session.store_constant() || (ulid->high & 1U) == 0) return std::nullopt;
  const std::uint64_t bits = (ulid->high >> 16U) << 15U | (ulid->high >> 1U & 0x7fffU);
  return ParsedUid{static_cast<NodeId>(bits), kind == 'D' ? NodeKind::kDict : NodeKind::kList};
}

}  // namespace graven::graph
