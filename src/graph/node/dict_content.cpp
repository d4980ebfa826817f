// SPDX-License-Identifier: MIT
//
// Edits small dicts in their JSONB body and large dicts by entry and slot records, and converts a
// small dict to a large one. A large dict stays large, until drain() empties it. See
// dict_content.hpp for what always holds.
#include "graph/node/dict_content.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/hash.hpp"
#include "graph/node/layout.hpp"

namespace graven::graph::dict_content {
namespace {

using jsonb::Element;
using port::Key;
using port::Range;
using port::Record;
using port::Row;
using port::Space;
using port::View;
using store::Work;

constexpr std::size_t kSmallEntries = 64;
constexpr std::uint64_t kSlotMask = (std::uint64_t{1} << 47U) - 1;  // six bytes in SQLite

struct Header {
  std::int64_t count = 0;
  std::int64_t next = 0;
};

Key entry_key(NodeId node, std::int64_t position) {
  return {.space = Space::kEntry, .a = node, .b = position};
}

Header load_header(View& view, NodeId node) {
  const std::optional<Record> record = view.load(entry_key(node, kHeaderPosition));
  if (!record) {
    throw CorruptionError(
        "the header of a large dict is missing; `graven check` shows which, `graven repair` "
        "repairs it");
  }
  jsonb::Cursor cursor(jsonb::parse(record->body).payload);
  Header header;
  header.count = jsonb::integer(cursor.next()).value_or(-1);
  header.next = jsonb::integer(cursor.next()).value_or(-1);
  // The upper limit leaves enough positions before kHeaderPosition, the header's own position.
  if (header.count < 0 || header.next < header.count || header.next > kHeaderPosition / 2) {
    throw CorruptionError(
        "the header of a large dict is damaged; `graven check` shows which, `graven repair` "
        "repairs it");
  }
  return header;
}

void save_header(Work& work, NodeId node, Header header) {
  Record record;
  const std::size_t mark = jsonb::open(record.body);
  jsonb::put_int(record.body, header.count);
  jsonb::put_int(record.body, header.next);
  jsonb::close(record.body, jsonb::Type::kArray, mark);
  work.put(entry_key(node, kHeaderPosition), std::move(record));
}

Key slot_key(NodeId node, std::string_view key) {
  return {.space = Space::kSlot, .a = node, .b = slot_of(node, key)};
}

void put_entry(std::string& out, std::string_view key, std::string_view element) {
  const std::size_t mark = jsonb::open(out);
  jsonb::put_text(out, key);
  out.append(element);
  jsonb::close(out, jsonb::Type::kArray, mark);
}

std::string entry_body(std::string_view key, std::string_view element) {
  std::string body;
  body.reserve(key.size() + element.size() + 16);
  put_entry(body, key, element);
  return body;
}

/// All positions in a slot: usually one, more if hashes collide.
std::vector<std::int64_t> positions_of(const Record& slot) {
  std::vector<std::int64_t> positions{slot.integers[0]};
  if (!slot.body.empty()) {
    for (jsonb::Cursor cursor(jsonb::parse(slot.body).payload); !cursor.done();) {
      positions.push_back(jsonb::integer(cursor.next()).value_or(kHeaderPosition));
    }
  }
  return positions;
}

Record slot_record(const std::vector<std::int64_t>& positions) {
  Record slot;
  slot.integers[0] = positions.front();
  if (positions.size() > 1) {
    const std::size_t mark = jsonb::open(slot.body);
    for (std::size_t i = 1; i < positions.size(); ++i) jsonb::put_int(slot.body, positions[i]);
    jsonb::close(slot.body, jsonb::Type::kArray, mark);
  }
  return slot;
}

void save_slot(Work& work, const Key& key, const std::vector<std::int64_t>& positions) {
  if (positions.empty()) {
    work.erase(key);
    return;
  }
  work.put(key, slot_record(positions));
}

/// Adds a key's position to its slot.
void add_to_slot(Work& work, const Key& slot, std::int64_t position) {
  if (const std::optional<Record> existing = work.load(slot)) {
    std::vector<std::int64_t> positions = positions_of(*existing);
    positions.push_back(position);
    save_slot(work, slot, positions);
  } else {
    const port::NewPair fresh{slot.a, slot.b, position};
    work.write_new_pairs(Space::kSlot, {&fresh, 1});
  }
}

struct Found {
  std::int64_t position;
  std::string element;
};

std::optional<Found> find_large(View& view, NodeId node, std::string_view key) {
  const std::optional<Record> slot = view.load(slot_key(node, key));
  if (!slot) return std::nullopt;
  for (const std::int64_t position : positions_of(*slot)) {
    if (position == kHeaderPosition) continue;  // the header is no entry
    const std::optional<Record> entry = view.load(entry_key(node, position));
    if (!entry) continue;
    jsonb::Cursor cursor(jsonb::parse(entry->body).payload);
    if (jsonb::text_equals(cursor.next(), key)) {
      return Found{position, std::string(cursor.next().whole)};
    }
  }
  return std::nullopt;
}

void add_large(Work& work, NodeId node, Header& header, std::string_view key,
               std::string_view element) {
  const std::int64_t position = header.next++;
  ++header.count;
  work.put(entry_key(node, position), {.body = entry_body(key, element)});
  add_to_slot(work, slot_key(node, key), position);
}

void remove_slot(Work& work, NodeId node, std::string_view key, std::int64_t position) {
  const Key slot = slot_key(node, key);
  if (const std::optional<Record> existing = work.load(slot)) {
    std::vector<std::int64_t> positions = positions_of(*existing);
    std::erase(positions, position);
    save_slot(work, slot, positions);
  }
}

/// Moves the contents of a JSONB object into entries; the node becomes large.
void enlarge(Work& work, NodeRecord& node, std::string_view object) {
  node.layout = Layout::kLargeDict;
  Header header;
  for (jsonb::Cursor cursor(jsonb::parse(object).payload); !cursor.done();) {
    const std::string key = jsonb::text(cursor.next());
    const Element element = cursor.next();
    add_large(work, node.id, header, key, compact_for_entry(work, node.id, element));
  }
  save_header(work, node.id, header);
  node.body.clear();
  jsonb::put_header(node.body, jsonb::Type::kObject, 0);
  save(work, node);
}

}  // namespace

std::int64_t slot_of(NodeId node, std::string_view key) noexcept {
  return static_cast<std::int64_t>(base::hash(key, static_cast<std::uint64_t>(node)) & kSlotMask);
}

std::size_t size(View& view, const NodeRecord& node) {
  if (node.large()) return static_cast<std::size_t>(load_header(view, node.id).count);
  return jsonb::count(jsonb::parse(node.body)) / 2;
}

std::optional<std::string> find(View& view, const NodeRecord& node, std::string_view key) {
  if (node.layout == Layout::kLargeDict) {
    std::optional<Found> found = find_large(view, node.id, key);
    if (!found) return std::nullopt;
    return std::move(found->element);
  }
  const std::optional<Element> found = jsonb::find(jsonb::parse(node.body), key);
  if (!found) return std::nullopt;
  return std::string(found->whole);
}

void look(cache::Glance& glance, NodeId node, std::string_view key,
          base::FunctionRef<void(const Element&)> shown) {
  std::optional<std::int64_t> position;
  glance.show(slot_key(node, key), [&](const cache::RecordView& slot) {
    if (slot.body.empty()) position = slot.integer(0);  // else several keys have this hash
  });
  if (!position) return;
  glance.show(entry_key(node, *position), [&](const cache::RecordView& entry) {
    jsonb::Cursor cursor(jsonb::parse(entry.body).payload);
    if (jsonb::text_equals(cursor.next(), key)) shown(cursor.next());
  });
}

std::vector<Entry> entries(View& view, const NodeRecord& node, std::int64_t from, std::size_t limit,
                           bool reverse) {
  std::vector<Entry> result;
  if (node.layout == Layout::kLargeDict) {
    Range range{.space = Space::kEntry, .a = node.id, .to = kHeaderPosition - 1};
    if (reverse) {
      range.to = std::min(range.to, from);
    } else {
      range.from = from;
    }
    range.reverse = reverse;
    for (const Row& row : view.scan(range, limit)) {
      jsonb::Cursor cursor(jsonb::parse(row.record.body).payload);
      std::string key = jsonb::text(cursor.next());
      result.push_back({row.key.b, std::move(key), std::string(cursor.next().whole)});
    }
    return result;
  }
  std::int64_t position = 0;
  for (jsonb::Cursor cursor(jsonb::parse(node.body).payload); !cursor.done(); ++position) {
    const Element key = cursor.next();
    const Element element = cursor.next();
    if (reverse ? position > from : position < from) continue;
    if (!reverse && result.size() == limit) break;
    result.push_back({position, jsonb::text(key), std::string(element.whole)});
  }
  if (reverse) {
    std::reverse(result.begin(), result.end());
    if (result.size() > limit) result.resize(limit);
  }
  return result;
}

std::optional<std::string> put(Work& work, NodeRecord& node, std::string_view key,
                               std::string_view element) {
  if (node.layout == Layout::kLargeDict) {
    if (std::optional<Found> found = find_large(work, node.id, key)) {
      work.put(entry_key(node.id, found->position), {.body = entry_body(key, element)});
      return std::move(found->element);
    }
    Header header = load_header(work, node.id);
    add_large(work, node.id, header, key, element);
    save_header(work, node.id, header);
    return std::nullopt;
  }
  const Element object = jsonb::parse(node.body);
  std::optional<std::string> old;
  std::string body;
  if (const std::optional<Element> found = jsonb::find(object, key)) {
    old = found->whole;
    body = jsonb::splice(object, jsonb::offset_in(object, *found), found->whole.size(), element);
  } else {
    std::string addition;
    addition.reserve(key.size() + element.size() + 10);
    jsonb::put_text(addition, key);
    addition.append(element);
    body = jsonb::splice(object, object.payload.size(), 0, addition);
  }
  if (outgrown(body.size(), jsonb::count(jsonb::parse(body)) / 2, kSmallEntries)) {
    enlarge(work, node, body);
  } else {
    node.body = std::move(body);
    save(work, node);
  }
  return old;
}

namespace {

/// put_many() of a large dict, from `first` on. Reads all slots at once and writes new entries and
/// slots at once. `own`: all slots of the dict were written by this work.
void put_many_large(Work& work, NodeId node, std::span<const std::string> keys,
                    const Elements& elements, std::size_t first, bool own,
                    std::vector<std::string>& replaced) {
  std::vector<Key> slots;
  slots.reserve(keys.size() - first);
  for (const std::string& key : keys.subspan(first)) slots.push_back(slot_key(node, key));
  std::vector<bool> taken(slots.size());
  const auto take = [&](std::size_t i, const Record* record) { taken[i] = record != nullptr; };
  Header header = load_header(work, node);
  // Also if this work has as many slots of the dict as there are keys: then there are no others.
  if (own || work.slots_waiting(node) == static_cast<std::size_t>(header.count)) {
    work.load_own(slots, take);
  } else {
    work.load_many(slots, take);
  }
  port::NewRows entries(Space::kEntry);
  std::vector<port::NewPair> fresh;
  std::vector<port::NewPair> shared;  // slots that other keys use too
  fresh.reserve(slots.size());
  entries.reserve(slots.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const std::string& key = keys[first + i];
    const std::string_view element = elements[first + i];
    if (taken[i]) {
      if (std::optional<Found> found = find_large(work, node, key)) {
        work.put(entry_key(node, found->position), {.body = entry_body(key, element)});
        replaced.push_back(std::move(found->element));
        continue;
      }
    }
    const std::int64_t position = header.next++;
    ++header.count;
    put_entry(entries.bytes(), key, element);
    entries.add(node, position);
    (taken[i] ? shared : fresh).push_back({node, slots[i].b, position});
  }
  // The header is the last row, and SQLite searches a page for each row inserted before it. So
  // remove the header, and write it again at the end.
  work.erase(entry_key(node, kHeaderPosition));
  work.write_new(std::move(entries));
  std::stable_sort(fresh.begin(), fresh.end());
  const auto same = [](const auto& one, const auto& other) { return one.b == other.b; };
  for (auto at = fresh.begin(); (at = std::adjacent_find(at, fresh.end(), same)) != fresh.end();) {
    shared.push_back(*std::next(at));
    fresh.erase(std::next(at));
  }
  work.write_new_pairs(Space::kSlot, fresh);
  for (const port::NewPair& slot : shared) {
    add_to_slot(work, {.space = Space::kSlot, .a = node, .b = slot.b}, slot.value);
  }
  save_header(work, node, header);
}

}  // namespace

std::vector<std::string> put_many(Work& work, NodeRecord& node,
                                  const std::vector<std::string>& keys, const Elements& elements) {
  std::vector<std::string> replaced;
  std::size_t done = 0;
  const bool small = !node.large();
  const std::uint64_t spills = work.spills();
  for (; done < keys.size() && !node.large(); ++done) {
    if (auto old = put(work, node, keys[done], elements[done])) replaced.push_back(*std::move(old));
  }
  const bool own = small && work.spills() == spills;  // it became large in this call
  if (done < keys.size()) put_many_large(work, node.id, keys, elements, done, own, replaced);
  return replaced;
}

std::optional<std::string> erase(Work& work, NodeRecord& node, std::string_view key) {
  if (node.layout == Layout::kLargeDict) {
    std::optional<Found> found = find_large(work, node.id, key);
    if (!found) return std::nullopt;
    work.erase(entry_key(node.id, found->position));
    remove_slot(work, node.id, key, found->position);
    Header header = load_header(work, node.id);
    --header.count;
    save_header(work, node.id, header);
    return std::move(found->element);
  }
  const Element object = jsonb::parse(node.body);
  for (jsonb::Cursor cursor(object.payload); !cursor.done();) {
    const Element name = cursor.next();
    const Element element = cursor.next();
    if (!jsonb::text_equals(name, key)) continue;
    std::string old(element.whole);
    node.body = jsonb::splice(object, jsonb::offset_in(object, name),
                              name.whole.size() + element.whole.size(), {});
    save(work, node);
    return old;
  }
  return std::nullopt;
}

bool small(std::size_t bytes, std::size_t count) noexcept {
  return !outgrown(bytes, count, kSmallEntries);
}

void fill(Work& work, NodeRecord& node, std::string object) {
  if (!small(object.size(), jsonb::count(jsonb::parse(object)) / 2)) {
    enlarge(work, node, object);
  } else {
    node.layout = Layout::kDict;
    node.body = std::move(object);
    save(work, node);
  }
}

namespace {

constexpr std::size_t kDrainedAtOnce = 1024;

/// Reads the slots of entries, all at once: then each is known.
void read_slots(Work& work, NodeId node, const std::vector<Entry>& entries) {
  std::vector<Key> slots;
  slots.reserve(entries.size());
  for (const Entry& entry : entries) slots.push_back(slot_key(node, entry.key));
  work.load_many(slots, [](std::size_t, Record*) {});
}

}  // namespace

bool drain(Work& work, NodeRecord& node, std::size_t limit,
           base::FunctionRef<void(std::string_view)> each) {
  if (node.layout == Layout::kLargeDict) {
    Header header = load_header(work, node.id);
    std::int64_t from = kFirst;
    std::size_t done = 0;
    for (;;) {
      const std::vector<Entry> batch =
          entries(work, node, from, std::min<std::size_t>(kDrainedAtOnce, limit - done));
      read_slots(work, node.id, batch);
      for (const Entry& entry : batch) {
        each(entry.element);
        work.erase(entry_key(node.id, entry.position));
        remove_slot(work, node.id, entry.key, entry.position);
      }
      done += batch.size();
      header.count -= static_cast<std::int64_t>(batch.size());
      if (batch.empty()) break;
      if (done >= limit) {
        save_header(work, node.id, header);
        return false;
      }
      from = batch.back().position + 1;
    }
    work.erase(entry_key(node.id, kHeaderPosition));
    node.layout = Layout::kDict;
  } else {
    for (jsonb::Cursor cursor(jsonb::parse(node.body).payload); !cursor.done();) {
      cursor.next();
      each(cursor.next().whole);
    }
  }
  node.body.clear();
  jsonb::put_header(node.body, jsonb::Type::kObject, 0);
  save(work, node);
  return true;
}

}  // namespace graven::graph::dict_content
