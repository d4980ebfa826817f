// SPDX-License-Identifier: MIT
//
// Random edits of the graph through the public API against the naive collector, step by step:
// links of every kind, cycles, shared children, handles held and dropped, transactions that
// commit or roll back, prefixes that come and go. After each step the store holds exactly the
// nodes that live, with exactly their contents and back-references; now and then check() must
// find nothing. GRAVEN_SEED repeats a run; GRAVEN_STEPS makes it longer.
#include <algorithm>
#include <cstdlib>

#include "model/world.hpp"

namespace graven::test {
namespace {

std::size_t steps() {
  const char* given = std::getenv("GRAVEN_STEPS");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 1500;
}

class Collector : public OnEveryStore {
 protected:
  struct Held {
    Node handle;
    int name;
  };

  Collector() {
    for (const std::string prefix : {"main", "side"}) open(prefix);
  }

  void open(const std::string& prefix) {
    databases_.insert_or_assign(prefix, db.with_prefix(prefix));
    // The root may be made anew: a life of its own.
    const int root = world_.add(NodeKind::kDict, ++homes_);
    world_.roots[prefix] = root;
    world_.nodes.at(root).id = session_of(databases_.at(prefix)).root();
  }

  // --- Choosing

  /// A random living node, biased to the young; with a handle on it.
  Held some_node() {
    if (!held_.empty() && random_.one_in(3)) return held_[random_.below(held_.size())];
    const std::set<int> rooted = world_.rooted();
    auto at = rooted.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_.below(rooted.size())));
    return {handle(*at), *at};
  }

  std::optional<Held> some_node(NodeKind kind) {
    for (int tries = 0; tries < 8; ++tries) {
      Held node = some_node();
      if (world_.nodes.at(node.name).kind == kind) return node;
    }
    return std::nullopt;
  }

  /// A handle on a node that a root reaches.
  Node handle(int name) {
    const ModelNode& node = world_.nodes.at(name);
    for (const auto& [prefix, root] : world_.roots) {
      if (world_.nodes.at(root).home != node.home) continue;
      const Database& database = databases_.at(prefix);
      if (name == root) return database.root();
      const auto value =
          database.get_via_uid(graph::uid_of(session_of(database), node.id, node.kind));
      if (!value) throw std::logic_error("a living node cannot be found");
      if (node.kind == NodeKind::kDict) return value->as_dict();
      return value->as_list();
    }
    throw std::logic_error("a node of no prefix");
  }

  static Dict dict(const Node& node) { return Dict(node.pin()); }
  static List list(const Node& node) { return List(node.pin()); }

  std::string some_key() { return "k" + std::to_string(random_.below(5)); }

  struct Made {
    Data data;
    std::map<NodeId, int> handles;
  };

  /// A value to store in a node of this home: a number, a node that lives there, or something new
  /// in which parts may be shared or lead back.
  Made some_value(int home, bool container = false) {
    Made made;
    const auto node_of_home = [&]() -> std::optional<Held> {
      for (int tries = 0; tries < 5; ++tries) {
        Held node = some_node();
        if (world_.nodes.at(node.name).home == home) return node;
      }
      return std::nullopt;
    };
    const auto item = [&](const Held& node) -> Data::Item {
      made.handles.emplace(id_of(node.handle), node.name);
      if (node.handle.kind() == NodeKind::kDict) return dict(node.handle);
      return list(node.handle);
    };
    if (!container && random_.one_in(3)) {
      made.data = Data(static_cast<std::int64_t>(random_.below(1000)));
      return made;
    }
    if (!container && random_.one_in(2)) {
      if (const auto node = node_of_home()) {
        made.data.set_root(item(*node));
        return made;
      }
    }
    std::vector<Data::Index> all;
    for (std::size_t n = 1 + random_.below(4); n > 0; --n) {
      all.push_back(made.data.add(random_.one_in(2) ? NodeKind::kDict : NodeKind::kList));
    }
    made.data.set_root(all[0]);
    for (const Data::Index at : all) {
      const bool large = random_.one_in(25);
      const std::size_t count = large ? 70 + random_.below(100) : random_.below(4);
      for (std::size_t i = 0; i < count; ++i) {
        Data::Item value = static_cast<std::int64_t>(i);
        if (!large || random_.one_in(20)) {
          if (random_.one_in(2)) value = all[random_.below(all.size())];
          if (random_.one_in(4)) {
            if (const auto node = node_of_home()) value = item(*node);
          }
        }
        Data::Container& target = made.data.container(at);
        if (target.kind == NodeKind::kDict) target.keys.push_back("k" + std::to_string(i));
        target.items.push_back(std::move(value));
      }
    }
    return made;
  }

  /// The same in the model.
  ModelItem modelled(const Made& made, int home) {
    // A handle in a part of it that is not stored holds its node until the data goes.
    if (!made.handles.empty()) dropped_ = true;
    const Data::Item& root = made.data.root();
    if (const auto* index = std::get_if<Data::Index>(&root)) {
      return {0, world_.adopt(made.data, *index, home, made.handles)};
    }
    if (const auto* number = std::get_if<std::int64_t>(&root)) return {*number, std::nullopt};
    return {0, made.handles.begin()->second};
  }

  std::vector<ModelItem> modelled_items(const Made& made, int home) {
    const int name = *modelled(made, home).child;
    return world_.nodes.at(name).items;  // the top itself is only notation
  }

  // --- Edits

  void edit_dict() {
    const auto chosen = some_node(NodeKind::kDict);
    if (!chosen) return;
    const Dict target = dict(chosen->handle);
    const int home = world_.nodes.at(chosen->name).home;
    const std::string key = some_key();
    const auto node = [&]() -> ModelNode& { return world_.nodes.at(chosen->name); };
    const auto place = [&] {
      const auto& keys = node().keys;
      return std::find(keys.begin(), keys.end(), key) - keys.begin();
    };
    const auto there = [&] { return place() < static_cast<std::ptrdiff_t>(node().keys.size()); };
    const auto assign = [&](const std::string& name, const ModelItem& item) {
      auto& keys = node().keys;
      const auto at = std::find(keys.begin(), keys.end(), name);
      if (at == keys.end()) {
        keys.push_back(name);
        node().items.push_back(item);
      } else {
        node().items[static_cast<std::size_t>(at - keys.begin())] = item;
      }
    };
    const auto remove = [&](std::ptrdiff_t at) {
      node().keys.erase(node().keys.begin() + at);
      node().items.erase(node().items.begin() + at);
    };
    switch (random_.below(10)) {
      case 0:
      case 1:
      case 2: {
        const Made made = some_value(home);
        target.set(key, made.data);
        assign(key, modelled(made, home));
        break;
      }
      case 3: {
        const Made made = some_value(home);
        target.setdefault(key, made.data);
        if (!there()) assign(key, modelled(made, home));
        break;
      }
      case 4: {
        Made made = some_value(home, true);
        if (!made.data.is_dict()) break;
        const std::vector<std::string> keys =
            made.data.container(std::get<Data::Index>(made.data.root())).keys;
        // Links to the top itself would make it a node: only without them is it mere notation.
        const int top = *modelled(made, home).child;
        bool linked = false;
        for (const int name : world_.reached({top})) {
          for (const ModelItem& item : world_.nodes.at(name).items)
            linked = linked || item.child == top;
        }
        if (linked) break;
        target.update(made.data);
        const std::vector<ModelItem> items = world_.nodes.at(top).items;
        for (std::size_t i = 0; i < keys.size(); ++i) assign(keys[i], items[i]);
        break;
      }
      case 5:
      case 6:
        EXPECT_EQ(target.erase(key), there());
        if (there()) remove(place());
        break;
      case 7: {
        const std::optional<Value> popped = target.pop(key);
        ASSERT_EQ(popped.has_value(), there());
        if (!there()) break;
        const ModelItem item = node().items[static_cast<std::size_t>(place())];
        remove(place());
        keep(*popped, item);
        break;
      }
      case 8: {
        const auto popped = target.popitem();
        ASSERT_EQ(popped.has_value(), !node().keys.empty());
        if (!popped) break;
        EXPECT_EQ(popped->first, node().keys.back());
        const ModelItem item = node().items.back();
        remove(static_cast<std::ptrdiff_t>(node().keys.size()) - 1);
        keep(popped->second, item);
        break;
      }
      default:
        if (!random_.one_in(4)) break;
        target.clear();
        node().keys.clear();
        node().items.clear();
    }
  }

  void edit_list() {
    const auto chosen = some_node(NodeKind::kList);
    if (!chosen) return;
    const List target = list(chosen->handle);
    const int home = world_.nodes.at(chosen->name).home;
    const auto items = [&]() -> std::vector<ModelItem>& {
      return world_.nodes.at(chosen->name).items;
    };
    const std::size_t size = items().size();
    const std::size_t index = random_.below(size + 1);
    const auto at = static_cast<std::ptrdiff_t>(index);
    switch (random_.below(10)) {
      case 0:
      case 1:
      case 2: {
        const Made made = some_value(home);
        target.insert(at, made.data);
        const ModelItem item = modelled(made, home);
        items().insert(items().begin() + at, item);
        break;
      }
      case 3: {
        if (index == size) break;
        const Made made = some_value(home);
        target.set(at, made.data);
        const ModelItem item = modelled(made, home);
        items()[index] = item;
        break;
      }
      case 4: {
        const Made one = some_value(home);
        const Made other = some_value(home);
        Data both = Data::list({one.data, other.data});
        const std::size_t count = random_.below(4);
        target.splice(index, count, both);
        const auto end =
            items().begin() + static_cast<std::ptrdiff_t>(std::min(size, index + count));
        const auto where = items().erase(items().begin() + at, end) - items().begin();
        const std::vector<ModelItem> fresh{modelled(one, home), modelled(other, home)};
        items().insert(items().begin() + where, fresh.begin(), fresh.end());
        break;
      }
      case 5:
        if (index == size) break;
        target.erase(at);
        items().erase(items().begin() + at);
        break;
      case 6: {
        if (size == 0) break;
        const Value popped = target.pop();
        const ModelItem item = items().back();
        items().pop_back();
        keep(popped, item);
        break;
      }
      case 7:
        target.reverse();
        std::reverse(items().begin(), items().end());
        break;
      case 8: {
        std::vector<std::size_t> order;
        for (std::size_t n = size == 0 ? 0 : random_.below(size + 3); n > 0; --n) {
          order.push_back(random_.below(size));
        }
        target.rearrange(order);
        std::vector<ModelItem> after;
        for (const std::size_t from : order) after.push_back(items()[from]);
        items() = after;
        break;
      }
      default:
        if (!random_.one_in(4)) break;
        target.clear();
        items().clear();
    }
  }

  /// What was popped: sometimes held, else the handle goes at once.
  void keep(const Value& value, const ModelItem& item) {
    ASSERT_EQ(value.is<Dict>() || value.is<List>(), item.child.has_value());
    if (!item.child) return;
    dropped_ = true;
    if (!random_.one_in(2)) return;
    const Node node = value.is<Dict>() ? Node(value.as_dict()) : Node(value.as_list());
    // A handle on a root stands for the root, whichever that is, and holds no node.
    if (!node.pin()->root()) held_.push_back({node, *item.child});
  }

  void make_unlinked() {
    const auto root = std::next(world_.roots.begin(),
                                static_cast<std::ptrdiff_t>(random_.below(world_.roots.size())));
    const int home = world_.nodes.at(root->second).home;
    const Made made = some_value(home, true);
    const Database& database = databases_.at(root->first);
    const int name = *modelled(made, home).child;
    if (made.data.is_dict()) {
      held_.push_back({database.new_dict(made.data), name});
    } else {
      held_.push_back({database.new_list(made.data), name});
    }
    world_.nodes.at(name).id = id_of(held_.back().handle);
  }

  void change_handles() {
    if (held_.size() < 6 && random_.one_in(2)) {
      held_.push_back(some_node());
    } else if (!held_.empty()) {
      held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(random_.below(held_.size())));
      dropped_ = true;
    }
  }

  void delete_prefix() {
    if (!world_.roots.contains("side")) {
      open("side");
      return;
    }
    const int root = world_.roots.at("side");
    // Its handles on the root stand for whatever root the prefix has.
    std::erase_if(held_, [&](const Held& one) { return one.name == root; });
    world_.roots.erase("side");
    if (random_.one_in(2)) {
      db.delete_prefix_immediately("side");
    } else {
      while (db.delete_prefix_batch("side", 3) != 0) {
      }
    }
    databases_.erase("side");
    dropped_ = true;
  }

  void edit() {
    switch (random_.below(12)) {
      case 0:
        return make_unlinked();
      case 1:
      case 2:
        return change_handles();
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
        return edit_dict();
      default:
        return edit_list();
    }
  }

  /// A few edits as one, with savepoints; to whatever end.
  void transact(int depth) {
    const World before = world_;
    Transaction transaction = db.begin();
    for (std::size_t n = random_.below(5); n > 0; --n) {
      if (depth < 3 && random_.one_in(5)) {
        transact(depth + 1);
      } else {
        edit();
      }
      learn();
      if (HasFatalFailure()) break;
    }
    if (random_.one_in(3)) {
      transaction.rollback();
      world_ = before;
      dropped_ = true;
      // Handles of what was made in it stand for nothing any more.
      std::erase_if(held_, [&](const Held& one) { return !world_.nodes.contains(one.name); });
    } else {
      transaction.commit();
    }
  }

  // --- Comparing

  std::set<int> starts() {
    std::set<int> from;
    for (const auto& [prefix, root] : world_.roots) from.insert(root);
    for (const Held& one : held_) from.insert(one.name);
    return from;
  }

  /// What the file has is what there is, also when it is opened again.
  void reopen() {
    held_.clear();
    dropped_ = true;
    db.collect();
    db.flush();
    {
      Options reading;
      reading.read_only = true;
      ASSERT_EQ(all_records(Database(url(), reading)), all_records(db));
    }
    databases_.clear();
    db.close();
    db = Database(url(), options());
    for (const auto& [prefix, root] : world_.roots) {
      databases_.insert_or_assign(prefix, db.with_prefix(prefix));
    }
  }

  /// Contents only, in whatever state this thread sees; learns the ids of new nodes.
  void learn() {
    db.scope()->read([&](port::View& view) { match_contents(world_, view, starts()); });
  }

  void compare() {
    if (dropped_) db.collect();  // handles that went are noticed by the next commit
    dropped_ = false;
    const std::set<int> living = world_.reached(starts());
    const auto view = store_of(db).view();
    ASSERT_NO_FATAL_FAILURE(match_contents(world_, *view, starts()));
    ASSERT_NO_FATAL_FAILURE(match_nodes(world_, *view, living));
    std::erase_if(world_.nodes, [&](const auto& node) { return !living.contains(node.first); });
  }

  Random random_;
  World world_;
  int homes_ = 0;
  std::map<std::string, Database> databases_;
  std::vector<Held> held_;
  bool dropped_ = false;
};
GRAVEN_ON_EVERY_STORE(Collector);

TEST_P(Collector, AgreesWithTheNaiveOneStepByStep) {
  std::size_t most = 0;
  // A walk that never got far (one in some hundreds) goes on until it did.
  for (std::size_t step = 0; step < steps() || most <= 20; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const std::size_t choice = random_.below(100);
    if (choice < 15) {
      transact(1);
    } else if (choice < 17) {
      delete_prefix();
    } else if (choice == 17 && in_file()) {
      ASSERT_NO_FATAL_FAILURE(reopen());
    } else {
      edit();
    }
    if (HasFailure()) return;
    ASSERT_NO_FATAL_FAILURE(compare());
    most = std::max(most, world_.nodes.size());
    if (world_.nodes.size() > 60) {
      held_.clear();
      dropped_ = true;
    }
    if (world_.nodes.size() > 120) {
      for (const auto& [prefix, database] : databases_) database.root().clear();
      for (const auto& [prefix, root] : world_.roots) {
        world_.nodes.at(root).keys.clear();
        world_.nodes.at(root).items.clear();
      }
    }
    if (step % 25 == 0) expect_clean(db);
    if (HasFailure()) return;
  }
  held_.clear();
  dropped_ = true;
  compare();
  expect_clean(db);
  EXPECT_EQ(db.check().held, 0U);
}

}  // namespace
}  // namespace graven::test
