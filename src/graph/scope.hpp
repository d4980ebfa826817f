// SPDX-License-Identifier: MIT
//
// A scope is what a handle reads from and writes to. The live database, a snapshot and a
// transactor are scopes; Dict and List use this interface only.
//
// A Session is what an open Database and all scopes made from it share: the heap, the pins,
// the prefix. A Pin is the content of a handle: a node in a scope. While a Pin lives, the
// session's pins count it.
//
// Thread-safety: a Session and a live scope may be used from any thread; the other scopes
// document their own rules.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <graven/database.hpp>

#include "base/fork.hpp"
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

  /// ClosedError after close().
  [[nodiscard]] Heap& heap() const;
  [[nodiscard]] const std::shared_ptr<Heap>& shared_heap() const noexcept { return heap_; }
  [[nodiscard]] std::shared_ptr<store::Store> shared_store() const {
    return {heap_, &heap_->store()};
  }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }
  void close() noexcept;
  /// Flushes everything to the store's files, then closes. If the flush fails, it stays open.
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

  /// Finds the prefix, or creates it with an empty root. If no prefix was asked for and the store
  /// has other prefixes but not the default one, the session has no prefix; it can still do what
  /// concerns the whole store, such as a check or a backup. Several threads may call this at once:
  /// they get the same prefix, or find it again if it was deleted meanwhile.
  void open_prefix();
  /// KeyNotFound if the session has no prefix; the error lists the prefixes of the store.
  void require_prefix() const;

  Pins& pins() noexcept { return *pins_; }

 private:
  friend class Pin;
  std::shared_ptr<Heap> heap_;  // until the session is destroyed; closing sets only closed_
  store::Use use_;              // until the session is closed
  const std::uint64_t generation_ = base::fork_generation();
  std::shared_ptr<Pins> pins_ = std::make_shared<Pins>();
  Options options_;
  std::uint64_t store_constant_;
  std::atomic<bool> closed_{false};
  std::string prefix_;                      // set while opening
  std::string missing_;                     // why there is no prefix; set while opening
  base::ForkRenewed<std::mutex> adopting_;  // held to change prefix_id_ and root_ together
  std::atomic<std::int64_t> prefix_id_{0};
  std::atomic<NodeId> root_{0};
};

/// One of the thread's nested transactions, begun through a session; see store::Step. Closing that
/// session rolls it back.
class TransactionStep {
 public:
  explicit TransactionStep(std::shared_ptr<Session> session);
  TransactionStep(std::shared_ptr<Session> session, const store::Limits& limits);
  void commit(Durable durable = Durable::kAsOpened) { step_.commit(durable == Durable::kYes); }
  void rollback() noexcept { step_.rollback(); }

 private:
  std::shared_ptr<Session> session_;
  store::Step step_;  // declared last: destroyed before the session
};

class Scope : public std::enable_shared_from_this<Scope> {
 public:
  /// `live`: the scope is the database itself, not a view of it.
  Scope(std::shared_ptr<Session> session, bool live) : session_(std::move(session)), live_(live) {}
  virtual ~Scope() = default;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  [[nodiscard]] Session& session() const noexcept { return *session_; }
  [[nodiscard]] const std::shared_ptr<Session>& shared_session() const noexcept { return session_; }

  [[nodiscard]] bool live() const noexcept { return live_; }
  /// Whether other writers may change what this thread reads, between two of its calls.
  [[nodiscard]] bool moving() const noexcept {
    return live_ &&
           (store::open_in_thread == 0 || !session_->shared_heap()->store().in_transaction());
  }
  /// Iterations over containers that are read and changed through this scope.
  store::Iterations iterations;

  /// The node's current record: the cheapest read. Nothing if the node is gone.
  virtual std::optional<NodeRecord> node(NodeId id) {
    std::optional<NodeRecord> found;
    read([&](port::View& view) { found = find_node(view, id); });
    return found;
  }
  /// Calls `shown` with the newest node's layout and body in place; they are valid during the call
  /// only. False if that needs a copy: then use node(). `shown` must not use the scope.
  virtual bool peek(NodeId id, base::FunctionRef<void(Layout, std::string_view)> shown) {
    static_cast<void>(id);
    static_cast<void>(shown);
    return false;
  }
  /// The cache, if this scope reads the newest state; else nullptr.
  virtual cache::Cache* cache() { return nullptr; }
  /// Runs `body` over one consistent state.
  virtual void read(base::FunctionRef<void(port::View&)> body) = 0;
  /// Runs `body` as one atomic mutation. UsageError if the scope is read-only.
  virtual void write(base::FunctionRef<void(store::Work&)> body) = 0;
  /// A view of one state to iterate over, for as long as it lives. Nothing if the scope itself is
  /// one state: then iterate with repeated read() calls.
  virtual std::unique_ptr<port::View> lasting_view() = 0;
  /// See Heap::collections(); constant if no collection can change what this scope reads.
  virtual std::uint64_t collections() = 0;

 private:
  std::shared_ptr<Session> session_;
  const bool live_;
};

/// A pinned node in a scope. Until its first use it remembers the path by which it was found (Way)
/// and refers to whatever node is there now: see way.hpp.
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

  /// Records that it was found one step from `parent`. To be called before it is shared.
  void come_from(const Pin& parent, const Step& step);
  /// From now on it refers to this node only.
  void use() const noexcept {
    if (!used()) used_.store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] bool used() const noexcept { return used_.load(std::memory_order_relaxed); }
  /// To be called when this pin's node `lost` is gone: true if the pin refers to another node now.
  bool find_again(NodeId lost) const;
  /// The same inside a mutation.
  bool find_again(NodeId lost, store::Work& work) const;

 private:
  bool move_to(const std::optional<Link>& link, NodeId lost) const;

  std::shared_ptr<Scope> scope_;
  mutable std::atomic<NodeId> id_;
  mutable Pins::Count* count_ = nullptr;  // changed only by the thread that set moving_
  NodeKind kind_;
  bool root_;
  mutable std::atomic<bool> used_{false};
  mutable std::atomic<bool> moving_{false};
  Way way_;
};

/// Makes the uid of a node of this session's store and prefix; parse_uid() is the inverse.
std::string uid_of(const Session& session, NodeId id, NodeKind kind);
std::string uid_of(std::string_view prefix, std::uint64_t store_constant, NodeId id, NodeKind kind);
struct ParsedUid {
  NodeId id;
  NodeKind kind;
};
std::optional<ParsedUid> parse_uid(const Session& session, std::string_view uid);

/// The scope of the live database.
std::shared_ptr<Scope> make_live_scope(std::shared_ptr<Session> session);
std::shared_ptr<Scope> make_snapshot_scope(const Scope& live);
std::shared_ptr<Scope> make_transactor_scope(const Scope& live);
void close_snapshot(Scope& scope);

/// What a Transactor can do beyond a Scope.
class TransactorScope : public Scope {
 public:
  explicit TransactorScope(std::shared_ptr<Session> session) : Scope(std::move(session), false) {}
  virtual void restart() = 0;
  /// The first step of a watch: restarts if anything was written since the start.
  virtual void restart_if_written() = 0;
  virtual void watch_prefix() = 0;
  virtual bool execute() = 0;
  /// Runs `function` with reads and writes going to a transaction of the thread, and commits it.
  virtual void in_lane(const std::function<void()>& function, Durable durable) = 0;
};

}  // namespace graven::graph
