// SPDX-License-Identifier: MIT
//
// Dict's operations: each one reads or writes through its pin's scope and counts added and removed
// links; dict_content handles the layout. Any thread.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "graph/collector/links.hpp"
#include "graph/handles.hpp"
#include "graph/node/build.hpp"
#include "graph/node/dict_content.hpp"

namespace graven {

using graph::Decoder;
using graph::NodeRecord;
using port::View;
using store::Work;
namespace content = graph::dict_content;

namespace {

constexpr std::size_t kBatch = 256;

/// Stores one item under a key of the node; returns by how much the dict grows. Links the new value
/// before it releases the old one, because both may be the same node.
std::int64_t assign(Work& work, const graph::Pin& pin, NodeRecord& node, std::string_view key,
                    const Data& data, const Data::Item& item) {
  const std::string element = graph::build(work, pin.scope().session(), node, data, item);
  const std::optional<std::string> old = content::put(work, node, key, element);
  if (!old) return 1;
  graph::release(work, node.id, *old);
  return 0;
}

/// Sets all entries of a container of `data`; returns the new elements, and by how much the dict
/// grows. Does it at once, so that containers shared between the values stay shared.
std::pair<graph::Elements, std::int64_t> put_all(Work& work, const graph::Pin& pin,
                                                 NodeRecord& node, const Data& data,
                                                 const Data::Container& container) {
  graph::Elements elements =
      graph::build_items(work, pin.scope().session(), node, data, container.items);
  const std::vector<std::string> replaced = content::put_many(work, node, container.keys, elements);
  const std::size_t added = elements.size() - replaced.size();
  for (const std::string& old : replaced) graph::release(work, node.id, old);
  return {std::move(elements), static_cast<std::int64_t>(added)};
}

const Data::Container& dict_of(const Data& data) {
  if (!data.is_dict()) throw WrongTypeError("the entries must be a dict");
  return data.container(std::get<Data::Index>(data.root()));
}

std::string place_of(std::string_view key) { return fmt::format("['{}']", key); }

/// Finds a key in the body of a small dict; false if more than the node's record is needed.
bool look(Decoder& decoder, graph::Layout layout, std::string_view body, std::string_view key,
          std::optional<Value>& value) {
  if (layout != graph::Layout::kDict) return false;
  const std::optional<jsonb::Element> found = jsonb::find(jsonb::parse(body), key);
  if (!found) return true;
  decoder.at(key);
  value = decoder.try_inline(*found);
  return value.has_value();
}

/// The decoded element under a key, in the newest state. Reads one record if the dict is small.
std::optional<Value> look_up(const graph::Pin& pin, std::string_view key) {
  return graph::reading(pin, [&](Decoder& decoder) -> std::optional<Value> {
    std::optional<Value> value;
    bool settled = false;
    const bool seen = pin.scope().peek(pin.id(), [&](graph::Layout layout, std::string_view body) {
      settled = look(decoder, layout, body, key, value);
    });
    if (!seen) {
      const NodeRecord node = graph::current(pin);
      settled = look(decoder, node.layout, node.body, key, value);
    }
    if (settled) return value;
    pin.scope().read([&](View& view) {
      value.reset();
      const NodeRecord same = graph::load_node(view, pin);
      decoder.at(key);
      if (const auto element = content::find(view, same, key))
        value = decoder.value(*element, view);
    });
    return value;
  });
}

/// Iterates over one state. A small dict is read completely at the start. A large one is read
/// through a lasting view, or, if the scope itself is one state, with several reads.
class Cursor final : public graph::DictCursor {
 public:
  Cursor(std::shared_ptr<const graph::Pin> pin, bool reverse)
      : pin_(std::move(pin)), reverse_(reverse) {
    graph::Scope& scope = pin_->scope();
    graph::reading(*pin_, [&](Decoder& decoder) {
      from_ = reverse_ ? content::kLast : content::kFirst;
      done_ = false;
      node_ = graph::current(*pin_);  // also decides whether the node is alive
      if (!node_.large() && load_inline(decoder)) return true;
      scope.read([&](View& view) {
        node_ = graph::load_node(view, *pin_);
        values_.clear();
        if (!node_.large()) load(view, decoder);
      });
      if (node_.large() && (view_ = scope.lasting_view())) {
        node_ = graph::load_node(*view_, *pin_);
      }
      return true;
    });
    iteration_ = scope.iterations.begin(node_.id);
    size_at_start_ = iteration_->size.load();
  }

  bool next(std::string& key, Value& value) override {
    (void)pin_->scope().session().heap();  // ClosedError
    if (iteration_->size.load() != size_at_start_) {
      throw UsageError("dictionary changed size during iteration");
    }
    while (at_ == values_.size()) {
      if (done_) return false;
      refill();
    }
    key = std::move(values_[at_].first);
    value = std::move(values_[at_].second);
    ++at_;
    return true;
  }

 private:
  void refill() {
    values_.clear();
    at_ = 0;
    // Others may have collected nodes that the view still shows: their handles throw when used.
    Decoder decoder(*pin_);
    if (view_) {
      load(*view_, decoder);
    } else {
      pin_->scope().read([&](View& view) {
        values_.clear();
        load(view, decoder);
      });
    }
    if (!values_.empty() && !done_) from_ = last_ + (reverse_ ? -1 : 1);
  }

  /// Reads all of a small dict, if its record contains all values.
  bool load_inline(Decoder& decoder) {
    values_.clear();
    for (jsonb::Cursor cursor(jsonb::parse(node_.body).payload); !cursor.done();) {
      std::string key = jsonb::text(cursor.next());
      decoder.at(key);
      std::optional<Value> value = decoder.try_inline(cursor.next());
      if (!value) return false;
      values_.emplace_back(std::move(key), std::move(*value));
    }
    if (reverse_) std::reverse(values_.begin(), values_.end());
    done_ = true;
    return true;
  }

  /// Reads the next entries, or all of a small dict, and pins their handles.
  void load(View& view, Decoder& decoder) {
    const std::size_t most = node_.large() ? kBatch : SIZE_MAX;
    const auto batch = content::entries(view, node_, from_, most, reverse_);
    for (const auto& entry : batch) {
      decoder.at(entry.key);
      values_.emplace_back(entry.key, decoder.value(entry.element, view));
    }
    done_ = batch.size() < most;
    if (batch.empty()) return;
    last_ = batch.back().position;
    done_ = done_ || (reverse_ && last_ == content::kFirst);
  }

  std::shared_ptr<const graph::Pin> pin_;
  bool reverse_;
  NodeRecord node_;
  std::unique_ptr<View> view_;
  std::shared_ptr<store::Iterations::Iteration> iteration_;
  std::int64_t size_at_start_ = 0;
  std::int64_t from_ = 0;
  std::int64_t last_ = 0;
  std::vector<std::pair<std::string, Value>> values_;
  std::size_t at_ = 0;
  bool done_ = false;
};

}  // namespace

std::size_t Dict::size() const {
  return graph::using_pin(*pin_, [&] {
    std::size_t size = 0;
    (void)graph::current(*pin_);  // also decides whether the node is alive
    pin_->scope().read(
        [&](View& view) { size = content::size(view, graph::load_node(view, *pin_)); });
    return size;
  });
}

bool Dict::contains(Text key) const {
  return graph::using_pin(*pin_, [&]() -> bool {
    const NodeRecord node = graph::current(*pin_);
    if (!node.large()) return jsonb::find(jsonb::parse(node.body), key).has_value();
    bool found = false;
    pin_->scope().read([&](View& view) {
      found = content::find(view, graph::load_node(view, *pin_), key).has_value();
    });
    return found;
  });
}

std::optional<Value> Dict::get(Text key) const { return look_up(*pin_, key); }

bool Dict::peek(Text key, std::optional<Value>& value) const {
  value.reset();
  const bool told =
      graph::peeking(*pin_, [&](Decoder& decoder, graph::Layout layout, std::string_view body) {
        return look(decoder, layout, body, key, value);
      });
  if (!told) value.reset();
  return told;
}

Value Dict::at(Text key) const {
  std::optional<Value> value = look_up(*pin_, key);
  if (!value) throw KeyNotFound(fmt::format("no key '{}' in {}", key, uid()));
  return std::move(*value);
}

Ref Dict::operator[](Text key) const { return {*this, key}; }

void Dict::set(Text key, const Data& value) const {
  graph::check_key(key);
  graph::check_storable(pin_->scope(), value, place_of(key));
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    return assign(work, *pin_, node, key, value, value.root());
  });
}

Value Dict::setdefault(Text key, const Data& value) const {
  if (std::optional<Value> there = get(key)) return std::move(*there);
  graph::check_key(key);
  graph::check_storable(pin_->scope(), value, place_of(key));
  Value result;
  Decoder decoder(*pin_);
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    const bool there = content::find(work, node, key).has_value();
    const auto by = there ? 0 : assign(work, *pin_, node, key, value, value.root());
    decoder.at(key);
    result = decoder.value(*content::find(work, graph::load_node(work, node.id), key), work);
    return by;
  });
  return result;
}

void Dict::update(const Data& entries) const {
  const Data::Container& container = dict_of(entries);
  graph::check_storable(pin_->scope(), entries, "");
  if (container.items.empty()) return;
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    return put_all(work, *pin_, node, entries, container).second;
  });
}

std::vector<Value> Database::batch_insert(const Dict& container, const Data& rows) const {
  const Data::Container& entries = dict_of(rows);
  const graph::Pin& pin = *container.pin();
  graph::require_same_prefix(*scope_, pin);
  graph::check_storable(pin.scope(), rows, "");
  std::vector<Value> values;
  if (entries.items.empty()) return values;
  Decoder decoder(pin);
  graph::resizing(pin, [&](Work& work, NodeRecord& node) {
    values.clear();
    const auto [elements, by] = put_all(work, pin, node, rows, entries);
    values.reserve(elements.size());
    for (std::size_t i = 0; i < elements.size(); ++i) {
      values.push_back(decoder.value(elements[i], work));
    }
    return by;
  });
  return values;
}

bool Dict::erase(Text key) const {
  bool erased = false;
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    const std::optional<std::string> old = content::erase(work, node, key);
    erased = old.has_value();
    if (!old) return 0;
    graph::release(work, node.id, *old);
    return -1;
  });
  return erased;
}

std::optional<Value> Dict::pop(Text key) const {
  std::optional<Value> popped;
  Decoder decoder(*pin_);
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    popped.reset();
    const std::optional<std::string> old = content::erase(work, node, key);
    if (!old) return 0;
    popped = decoder.value(*old, work);
    graph::release(work, node.id, *old);
    return -1;
  });
  return popped;
}

std::optional<std::pair<std::string, Value>> Dict::popitem() const {
  std::optional<std::pair<std::string, Value>> popped;
  Decoder decoder(*pin_);
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    popped.reset();
    const auto newest = content::entries(work, node, content::kLast, 1, true);
    if (newest.empty()) return 0;
    const std::string& key = newest.front().key;
    popped.emplace(key, decoder.value(newest.front().element, work));
    content::erase(work, node, key);
    graph::release(work, node.id, newest.front().element);
    return -1;
  });
  return popped;
}

void Dict::clear() const { graph::resizing(*pin_, graph::clear); }

std::vector<std::string> Dict::keys() const {
  std::vector<std::string> keys;
  graph::using_pin(*pin_, [&] {
    pin_->scope().read([&](View& view) {
      keys.clear();
      const NodeRecord node = graph::load_node(view, *pin_);
      content::each_entry(view, node, kBatch, [&](content::Entry& entry) {
        keys.push_back(std::move(entry.key));
        return true;
      });
    });
  });
  return keys;
}

std::shared_ptr<graph::DictCursor> Dict::cursor(bool reverse) const {
  return std::make_shared<Cursor>(pin_, reverse);
}

Dict::Iterator Dict::begin() const { return Iterator(cursor()); }

Dict::Iterator::Iterator(std::shared_ptr<graph::DictCursor> cursor) : cursor_(std::move(cursor)) {
  ++*this;
}

Dict::Iterator& Dict::Iterator::operator++() {
  if (!cursor_->next(current_.first, current_.second)) cursor_.reset();
  return *this;
}

}  // namespace graven
