// SPDX-License-Identifier: MIT
//
// List's operations: like Dict's, with list_content. A negative index is resolved in the same
// state in which it is used. Any thread.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "graph/collector/links.hpp"
#include "graph/handles.hpp"
#include "graph/node/build.hpp"
#include "graph/node/list_content.hpp"

namespace graven {

using graph::Decoder;
using graph::NodeRecord;
using port::View;
using store::Work;
namespace content = graph::list_content;

namespace {

constexpr std::size_t kBatch = 256;

[[noreturn]] void throw_range(std::int64_t index, std::size_t size) {
  throw IndexOutOfRange(
      fmt::format("index {} is out of range: the list has {} items", index, size));
}

/// The position of an index in a list of `size` items; throws if it is out of range.
std::size_t absolute(std::int64_t index, std::size_t size) {
  const std::optional<std::size_t> place = content::place_of(index, size);
  if (!place) throw_range(index, size);
  return *place;
}

/// The same for insertion: an index beyond an end means that end.
std::size_t clamped(std::int64_t index, std::size_t size) {
  const auto length = static_cast<std::int64_t>(size);
  const std::int64_t place = index < 0 ? index + length : index;
  return static_cast<std::size_t>(std::clamp<std::int64_t>(place, 0, length));
}

const Data::Container& list_of(const Data& data) {
  if (!data.is_list()) throw WrongTypeError("the items must be a list");
  return data.container(std::get<Data::Index>(data.root()));
}

/// Replaces [start, start + count) by items of `data`. Adds new links before it removes old ones.
/// Returns by how much the list grows.
std::int64_t splice_items(Work& work, const graph::Pin& pin, NodeRecord& node, std::size_t start,
                          std::size_t count, const Data& data,
                          const std::vector<Data::Item>& items) {
  std::vector<std::string> elements =
      graph::build_items(work, pin.scope().session(), node, data, items).apart();
  const std::vector<std::string> old = content::erase(work, node, start, count);
  content::insert(work, node, start, std::move(elements));
  for (const std::string& element : old) graph::release(work, node.id, element);
  return static_cast<std::int64_t>(items.size()) - static_cast<std::int64_t>(count);
}

/// A copy of an element with its own value: copies the blob, if it has one.
std::string duplicate(Work& work, const NodeRecord& node, const std::string& element) {
  const jsonb::Element parsed = jsonb::parse(element);
  if (!graph::blob_of(parsed)) return element;
  std::string copy;
  Data::Item item = nullptr;
  graph::Stored stored = graph::read(parsed, work);
  if (auto* text = std::get_if<std::string>(&stored)) item = std::move(*text);
  if (auto* bytes = std::get_if<Bytes>(&stored)) item = std::move(*bytes);
  graph::put_scalar(copy, item, graph::kLargeInEntry, node.id, work);
  return copy;
}

/// Iterates over one state, like Dict's cursor, but sees changes of its own thread.
class Cursor final : public graph::ListCursor {
 public:
  Cursor(std::shared_ptr<const graph::Pin> pin, bool reverse)
      : pin_(std::move(pin)), reverse_(reverse) {
    fetch(0, kBatch, reverse_);
    iteration_ = pin_->scope().iterations.begin(pin_->id());
    seen_ = iteration_->changes.load();
  }

  bool next(Value& value) override {
    (void)pin_->scope().session().heap();  // ClosedError
    if (reverse_) return previous(value);
    if (changed() || (at_ >= start_ + values_.size() && !done_)) fetch(at_, kBatch);
    if (at_ - start_ >= values_.size()) return false;
    value = std::move(values_[at_ - start_]);
    ++at_;
    return true;
  }

 private:
  bool previous(Value& value) {
    if (end_ == 0) return false;
    const std::size_t index = end_ - 1;
    const bool here = index >= start_ && index < start_ + values_.size();
    if (!here || changed()) {
      const std::size_t from = end_ > kBatch ? end_ - kBatch : 0;
      fetch(from, end_ - from);
      if (index >= start_ + values_.size()) {
        end_ = 0;
        return false;
      }
    }
    value = std::move(values_[index - start_]);
    end_ = index;
    return true;
  }

  [[nodiscard]] bool changed() const { return iteration_->changes.load() != seen_; }

  /// `last`: reads `count` items from the current end instead of from `start`.
  void fetch(std::size_t start, std::size_t count, bool last = false) {
    graph::Scope& scope = pin_->scope();
    if (iteration_ && changed()) {
      seen_ = iteration_->changes.load();
      view_.reset();
    }
    graph::reading(*pin_, [&](Decoder& decoder) {
      if (!view_ && graph::current(*pin_).large()) view_ = scope.lasting_view();
      const auto load = [&](View& view) {
        const NodeRecord node = graph::load_node(view, *pin_);
        if (last) {
          end_ = content::size(node);
          start = end_ > count ? end_ - count : 0;
        }
        values_.clear();
        for (const std::string& element : content::items(view, node, start, count)) {
          values_.push_back(decoder.value(element, view));
        }
      };
      if (view_) {
        load(*view_);
      } else {
        scope.read(load);
      }
      return true;
    });
    start_ = start;
    done_ = values_.size() < count;
  }

  std::shared_ptr<const graph::Pin> pin_;
  bool reverse_;
  std::unique_ptr<View> view_;  // of a large list, if the scope itself is not one state
  std::shared_ptr<store::Iterations::Iteration> iteration_;
  std::uint64_t seen_ = 0;
  std::size_t at_ = 0;   // forwards: the next index
  std::size_t end_ = 0;  // backwards: one past the next index
  std::size_t start_ = 0;
  bool done_ = false;  // forwards: values_ has the last items
  std::vector<Value> values_;
};

}  // namespace

std::size_t List::size() const {
  return graph::using_pin(*pin_, [&] { return content::size(graph::current(*pin_)); });
}

std::vector<Value> List::slice(ListIndex start, Count count) const {
  return graph::reading(*pin_, [&](Decoder& decoder) {
    std::vector<Value> values;
    (void)graph::current(*pin_);  // also decides whether the node is alive
    pin_->scope().read([&](View& view) {
      values.clear();
      const NodeRecord node = graph::load_node(view, *pin_);
      const std::size_t from = start < 0 ? clamped(start, content::size(node))
                                         : static_cast<std::size_t>(std::int64_t{start});
      for (const std::string& element : content::items(view, node, from, count)) {
        values.push_back(decoder.value(element, view));
      }
    });
    return values;
  });
}

Value List::at(ListIndex index) const {
  return graph::reading(*pin_, [&](Decoder& decoder) {
    decoder.at(index);
    const NodeRecord node = graph::current(*pin_);
    if (!node.large()) {
      const jsonb::Element element =
          jsonb::nth(jsonb::parse(node.body), absolute(index, content::size(node)));
      if (!graph::blob_of(element)) return decoder.inline_value(element);
    }
    Value value;
    pin_->scope().read([&](View& view) {
      const NodeRecord same = graph::load_node(view, *pin_);
      const std::size_t place = absolute(index, content::size(same));
      value = decoder.value(content::items(view, same, place, 1).at(0), view);
    });
    return value;
  });
}

std::optional<Value> List::peek(ListIndex index) const {
  std::optional<Value> value;
  const bool told =
      graph::peeking(*pin_, [&](Decoder& decoder, graph::Layout layout, std::string_view body) {
        if (layout != graph::Layout::kList) return false;
        const jsonb::Element items = jsonb::parse(body);
        const auto place = content::place_of(index, jsonb::count(items));
        if (!place) return false;
        decoder.at(index);
        value = decoder.try_inline(jsonb::nth(items, *place));
        return value.has_value();
      });
  if (!told) value.reset();
  return value;
}

Ref List::operator[](ListIndex index) const { return {*this, index}; }

void List::set(ListIndex index, const Data& value) const {
  graph::check_storable(pin_->scope(), value, fmt::format("[{}]", std::int64_t{index}));
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    const std::size_t place = absolute(index, content::size(node));
    const std::string element =
        graph::build(work, pin_->scope().session(), node, value, value.root());
    const std::string old = content::set(work, node, place, element);
    graph::release(work, node.id, old);
    return 0;
  });
}

void List::insert(ListIndex index, const Data& value) const {
  graph::check_storable(pin_->scope(), value, "the new item");
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    std::vector<std::string> element{
        graph::build(work, pin_->scope().session(), node, value, value.root())};
    content::insert(work, node, clamped(index, content::size(node)), std::move(element));
    return 1;
  });
}

void List::push_back(const Data& value) const { insert(INT64_MAX, value); }

void List::extend(const Data& items) const {
  const Data::Container& container = list_of(items);
  graph::check_storable(pin_->scope(), items, "");
  if (container.items.empty()) return;
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    return splice_items(work, *pin_, node, content::size(node), 0, items, container.items);
  });
}

std::vector<Value> Database::batch_insert(const List& container, const Data& rows) const {
  const Data::Container& items = list_of(rows);
  const graph::Pin& pin = *container.pin();
  graph::require_same_prefix(*scope_, pin);
  graph::check_storable(pin.scope(), rows, "");
  std::vector<Value> values;
  if (items.items.empty()) return values;
  Decoder decoder(pin);
  graph::resizing(pin, [&](Work& work, NodeRecord& node) {
    values.clear();
    const std::size_t size = content::size(node);
    const std::int64_t by = splice_items(work, pin, node, size, 0, rows, items.items);
    for (const std::string& element : content::items(work, node, size, items.items.size())) {
      values.push_back(decoder.value(element, work));
    }
    return by;
  });
  return values;
}

void List::splice(ListIndex start, Count count, const Data& items) const {
  const Data::Container& container = list_of(items);
  graph::check_storable(pin_->scope(), items, "");
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    const std::size_t size = content::size(node);
    const std::size_t from = clamped(start, size);
    return splice_items(work, *pin_, node, from, std::min<std::size_t>(count, size - from), items,
                        container.items);
  });
}

void List::erase(ListIndex index) const {
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    const std::size_t place = absolute(index, content::size(node));
    const std::string old = content::erase(work, node, place, 1).at(0);
    graph::release(work, node.id, old);
    return -1;
  });
}

Value List::pop(ListIndex index) const {
  Value popped;
  Decoder decoder(*pin_);
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    const std::size_t size = content::size(node);
    if (size == 0) throw IndexOutOfRange("pop from an empty list");
    const std::string old = content::erase(work, node, absolute(index, size), 1).at(0);
    popped = decoder.value(old, work);
    graph::release(work, node.id, old);
    return -1;
  });
  return popped;
}

void List::clear() const { graph::resizing(*pin_, graph::clear); }

void List::reverse() const {
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    std::vector<std::string> elements = content::items(work, node, 0, SIZE_MAX);
    std::reverse(elements.begin(), elements.end());
    content::assign(work, node, elements);
    return 0;
  });
}

void List::rearrange(const std::vector<std::size_t>& order) const {
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    const std::vector<std::string> before = content::items(work, node, 0, SIZE_MAX);
    std::vector<std::size_t> uses(before.size(), 0);
    std::vector<std::string> after;
    after.reserve(order.size());
    for (const std::size_t place : order) {
      if (place >= before.size()) throw_range(static_cast<std::int64_t>(place), before.size());
      if (uses[place]++ == 0) {
        after.push_back(before[place]);
        continue;
      }
      after.push_back(duplicate(work, node, before[place]));
      if (const auto link = graph::link_of(jsonb::parse(before[place]))) {
        graph::link(work, link->id, node.id);
      }
    }
    node = graph::load_node(work, node.id);
    content::assign(work, node, after);
    for (std::size_t place = 0; place < before.size(); ++place) {
      if (uses[place] == 0) graph::release(work, node.id, before[place]);
    }
    return static_cast<std::int64_t>(after.size()) - static_cast<std::int64_t>(before.size());
  });
}

void List::set_many(const std::vector<std::size_t>& places, const Data& items) const {
  const Data::Container& container = list_of(items);
  if (container.items.size() != places.size()) {
    throw BadValueError(fmt::format("{} items cannot be assigned to {} places",
                                    container.items.size(), places.size()));
  }
  graph::check_storable(pin_->scope(), items, "");
  graph::resizing(*pin_, [&](Work& work, NodeRecord& node) {
    const std::size_t size = content::size(node);
    for (const std::size_t place : places) {
      if (place >= size) throw_range(static_cast<std::int64_t>(place), size);
    }
    const graph::Elements elements =
        graph::build_items(work, pin_->scope().session(), node, items, container.items);
    std::vector<std::string> released;
    for (std::size_t i = 0; i < places.size(); ++i) {
      released.push_back(content::set(work, node, places[i], elements[i]));
    }
    for (const std::string& old : released) graph::release(work, node.id, old);
    return 0;
  });
}

std::shared_ptr<graph::ListCursor> List::cursor(bool reverse) const {
  return std::make_shared<Cursor>(pin_, reverse);
}

List::Iterator List::begin() const { return Iterator(cursor()); }

List::Iterator::Iterator(std::shared_ptr<graph::ListCursor> cursor) : cursor_(std::move(cursor)) {
  ++*this;
}

List::Iterator& List::Iterator::operator++() {
  if (!cursor_->next(current_)) cursor_.reset();
  return *this;
}

}  // namespace graven
