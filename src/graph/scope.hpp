// SPDX-License-Identifier: MIT
//
// Scopes: what a handle reads from and writes to. The live database, a snapshot and a
// transactor are scopes; Dict and List are written once, against this interface.
//
// A Session is what an open Database and all scopes made from it share: the heap, its pins,
// the prefix. A Pin is what a handle consists of: a node in a scope, counted among the
// session's pins while it lives.
//
// Thread-safety: a Session and a live scope from any thread; the others say so themselves.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <graven/database.hpp>

#include "base/function_ref.hpp"
#include "graph/collector/heap.hpp"
#include "graph/node/node.hpp"
#include "graph/way.hpp"
#include "store/iterations.hpp"

namespace graven::graph {

class Session {
 public:
  Session(const std::shared_ptr<store::Store>& store, Options options);
  ~Session();

  /// ClosedError once closed.
  [[nodiscard]] Heap& heap() const;
  [[nodiscard]] const std::shared_ptr<Heap>& shared_heap() const noexcept { return heap_; }
  [[nodiscard]] std::shared_ptr<store::Store> shared_store() const {
    return {heap_, &heap_->store()};
  }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }
  void close() noexcept;
  /// The same, once everything is in the store's files; if that fails it stays open.
  void close_flushed();

  [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }
  [[nodiscard]] std::int64_t prefix_id() const {
    require_prefix();
    return prefix_id_.load();
  }
  [[nodiscard]] NodeId root() const noexcept { return root_.load(); }
  [[nodiscard]] const Options& options() const noexcept { return options_; }
  [[nodiscard]] store::Limits limits() const noexcept {
    return {options_.busy_timeout, options_.transaction_limit};
  }
  [[nodiscard]] std::uint64_t store_constant() const noexcept { return store_constant_; }

  /// Finds the prefix, or makes it with an empty root. Where no prefix was asked for, and the store
  /// has others but not the default one, there is none: the session then serves what concerns the
  /// whole store, such as a check or a backup. Several threads may at once: what they find is the
  /// same, or, where it was deleted meanwhile, found again.
  void open_prefix();
  /// KeyNotFound where the session has no prefix, with the names of those that the store has.
  void require_prefix() const;

  Pins& pins() noexcept { return *pins_; }

 private:
  friend class Pin;
  std::shared_ptr<Heap> heap_;  // until the session goes; what closes is closed_
  store::Use use_;              // until it is closed
  const std::uint64_t generation_ = base::fork_generation();
  std::shared_ptr<Pins> pins_ = std::make_shared<Pins>();
  Options options_;
  std::uint64_t store_constant_;
  std::atomic<bool> closed_{false};
  std::string prefix_;   // set while opening
  std::string missing_;  // why there is no prefix; likewise
  std::mutex adopting_;  // both of a prefix's numbers, or neither
  std::atomic<std::int64_t> prefix_id_{0};
  std::atomic<NodeId> root_{0};
};

/// One of the thread's nested transactions, begun through a session; see store::Step. close() of
/// that session rolls it back.
class TransactionStep {
 public:
  explicit TransactionStep(std::shared_ptr<Session> session);
  TransactionStep(std::shared_ptr<Session> session, const store::Limits& limits);
  void commit(Durable durable = Durable::kAsOpened) { step_.commit(durable == Durable::kYes); }
  void rollback() noexcept { step_.rollback(); }

 private:
  std::shared_ptr<Session> session_;
  store::Step step_;  // before the session it goes
};

class Scope : public std::enable_shared_from_this<Scope> {
 public:
  /// `live`: it is the database itself, not a view of it.
  Scope(std::shared_ptr<Session> session, bool live) : session_(std::move(session)), live_(live) {}
  virtual ~Scope() = default;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  [[nodiscard]] Session& session() const noexcept { return *session_; }
  [[nodiscard]] const std::shared_ptr<Session>& shared_session() const noexcept { return session_; }

  [[nodiscard]] bool live() const noexcept { return live_; }
  /// Whether others may change what this thread reads, between two calls.
  [[nodiscard]] bool moving() const noexcept {
    return live_ &&
           (store::open_in_thread == 0 || !session_->shared_heap()->store().in_transaction());
  }
  /// Over what is read here, and changed through this.
  store::Iterations iterations;

  /// One node as it is now: the cheapest read. Nothing when it is gone.
  virtual std::optional<NodeRecord> node(NodeId id) {
    std::optional<NodeRecord> found;
    read([&](store::View& view) { found = find_node(view, id); });
    return found;
  }
  /// Shows the newest node in place: its layout and body, which live for the call only. False when
  /// that cannot be had without a copy: ask node(). `shown` must not use the scope.
  virtual bool peek(NodeId id, base::FunctionRef<void(Layout, std::string_view)> shown) {
    static_cast<void>(id);
    static_cast<void>(shown);
    return false;
  }
  /// The cache, where its newest state is what this scope reads; else nullptr.
  virtual store::Cache* cache() { return nullptr; }
  /// Runs `body` over one consistent state.
  virtual void read(base::FunctionRef<void(store::View&)> body) = 0;
  /// Runs `body` as one atomic mutation. UsageError where the scope is read-only.
  virtual void write(base::FunctionRef<void(store::Work&)> body) = 0;
  /// A state to iterate over for as long as it lives, or nothing where read() must be used
  /// step by step because the scope's state is one already.
  virtual std::unique_ptr<store::View> lasting_view() = 0;
  /// See Heap::collections(); constant where no collection can come between.
  virtual std::uint64_t collections() = 0;

 private:
  std::shared_ptr<Session> session_;
  const bool live_;
};

/// A node in a scope, pinned. Until it is first used it knows the way by which it was found, and
/// stands for whatever is there: see way.hpp.
class Pin {
 public:
  Pin(std::shared_ptr<Scope> scope, NodeId id, NodeKind kind, bool root)
      : scope_(std::move(scope)), id_(id), kind_(kind), root_(root) {
    if (!root_) count_ = &scope_->session().pins().pin(id_);
  }
  ~Pin();
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

  [[nodiscard]] Scope& scope() const noexcept { return *scope_; }
  [[nodiscard]] const std::shared_ptr<Scope>& shared_scope() const noexcept { return scope_; }
  [[nodiscard]] NodeId id() const noexcept {
    return root_ ? scope_->session().root() : id_.load(std::memory_order_acquire);
  }
  [[nodiscard]] NodeKind kind() const noexcept { return kind_; }
  [[nodiscard]] bool root() const noexcept { return root_; }

  /// Before anybody else has it: it was found a step from `parent`.
  void come_from(const Pin& parent, const Step& step);
  /// From now on it stands for this node for good.
  void use() const noexcept {
    if (!used()) used_.store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] bool used() const noexcept { return used_.load(std::memory_order_relaxed); }
  /// For who found the node `lost`, which this stood for, gone: true if it stands for another now.
  bool find_again(NodeId lost) const;
  /// The same inside a mutation.
  bool find_again(NodeId lost, store::Work& work) const;

 private:
  bool move_to(const std::optional<Link>& link, NodeId lost) const;

  std::shared_ptr<Scope> scope_;
  mutable std::atomic<NodeId> id_;
  mutable Pins::Count* count_ = nullptr;  // by whoever set moving_
  NodeKind kind_;
  bool root_;
  mutable std::atomic<bool> used_{false};
  mutable std::atomic<bool> moving_{false};
  Way way_;
};

/// The uid of a node of this session's store and prefix, and back.
std::string uid_of(const Session& session, NodeId id, NodeKind kind);
std::string uid_of(std::string_view prefix, std::uint64_t store_constant, NodeId id, NodeKind kind);
struct ParsedUid {
  NodeId id;
  NodeKind kind;
};
std::optional<ParsedUid> parse_uid(const Session& session, std::string_view uid);

/// The live database's scope.
std::shared_ptr<Scope> make_live_scope(std::shared_ptr<Session> session);
std::shared_ptr<Scope> make_snapshot_scope(const Scope& live);
std::shared_ptr<Scope> make_transactor_scope(const Scope& live);
void close_snapshot(Scope& scope);

/// What a Transactor can do beyond a Scope.
class TransactorScope : public Scope {
 public:
  explicit TransactorScope(std::shared_ptr<Session> session) : Scope(std::move(session), false) {}
  virtual void restart() = 0;
  /// What a watch does first: starts afresh if anything was written since the start.
  virtual void restart_if_written() = 0;
  virtual void watch_prefix() = 0;
  virtual bool execute() = 0;
  /// Runs `function` with reads and writes going to a transaction of the thread, and commits it.
  virtual void in_lane(const std::function<void()>& function, Durable durable) = 0;
};

}  // namespace graven::graph
