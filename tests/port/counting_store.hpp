// SPDX-License-Identifier: MIT
//
// A store as if it were behind a network, in front of any other: it counts how often a thread waits
// for an answer (trips.hpp), and a script decides what happens to each call and to each entry of
// the log. Requests and replies are delayed or lost; a request may arrive after its sender has
// given up; entries are lost, late, doubled or in another order.
//
// Always holds: a lost or delayed request or reply is an UnavailableError for its sender. A
// listener is called by one thread at a time. No facets: it does not show those of the store behind
// it.
//
// Any thread. Set the scripts before other threads use it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "port/backend.hpp"
#include "port/trips.hpp"

namespace graven::test {

enum class Asked : std::uint8_t { kRead, kCommit, kResolve, kLog, kSubscribe, kLease };

/// A call, as the script sees it.
struct Call {
  Asked asked{};
  std::size_t number = 0;  // of all calls to this store, from 0
  port::CommitId id{};     // of kCommit and kResolve
  bool resent = false;
};

/// What happens to a call.
struct Fault {
  enum class Kind : std::uint8_t {
    kNone,
    kLoseRequest,  // it never arrives
    kLoseReply,    // it is done
    kLate,         // a commit arrives after `calls` further calls, or at deliver(); others: lost
    kUnreached,    // a commit: there was no connection, and the sender knows it; others: lost
  };
  Kind kind = Kind::kNone;
  std::chrono::microseconds delay{};              // before the sender has its answer
  std::size_t calls = 0;                          // kLate
  std::optional<port::CommitResult> answer = {};  // of a commit or resolve(), instead of doing it
};
using Script = std::function<Fault(const Call&)>;

/// What happens to an entry of the log on its way to one listener.
struct EntryFault {
  enum class Kind : std::uint8_t {
    kNone,
    kLose,
    kDouble,
    kLate,  // it arrives after `entries` further ones, or at deliver()
  };
  Kind kind = Kind::kNone;
  std::size_t entries = 0;
};
using EntryScript = std::function<EntryFault(const port::LogEntry&)>;

/// Every kind of fault happens to one call or entry in so many; 0: never.
struct Rates {
  std::size_t lost_request = 0;
  std::size_t lost_reply = 0;
  std::size_t late = 0;
  std::size_t unreached = 0;
  std::size_t lost_entry = 0;
  std::size_t late_entry = 0;
  std::size_t double_entry = 0;
};
/// Faults of commits and resolve() at random; any thread.
Script random_script(std::uint64_t seed, const Rates& rates);
EntryScript random_entries(std::uint64_t seed, const Rates& rates);

class CountingStore final : public port::Backend {
 public:
  explicit CountingStore(std::shared_ptr<port::Backend> inner);
  ~CountingStore() override;

  void script(Script script) { script_ = std::move(script); }
  void script_entries(EntryScript script) { entry_script_ = std::move(script); }

  /// Everything that is late arrives.
  void deliver();
  /// How many requests are late.
  [[nodiscard]] std::size_t late() const;
  /// While it is deaf, listeners hear nothing: entries and heartbeats are lost.
  void deafen(bool deaf);
  /// Tells every listener that entries may be missing.
  void interrupt();
  /// Tells every listener the newest state of its partition, or the state given.
  void heartbeat(std::optional<port::StateVersion> state = std::nullopt);

  // port::Backend
  [[nodiscard]] const port::Facts& facts() const noexcept override { return inner_->facts(); }
  port::StateVersion read(const port::Partition& partition, std::span<const port::ReadOp> ops,
                          port::ReadSink each, port::Deadline deadline) override;
  port::CommitResult commit(const port::CommitId& id, std::span<const port::Batch> batches,
                            const port::CommitOptions& options, port::Deadline deadline) override;
  port::CommitResult resolve(const port::CommitId& id, std::span<const port::Partition> partitions,
                             port::Deadline deadline) override;
  /// No trip; its reads are.
  std::unique_ptr<port::View> snapshot(const port::Partition& partition,
                                       port::Deadline deadline) override;
  bool log(const port::Partition& partition, const port::StateVersion& from, port::LogSink each,
           port::Deadline deadline) override;
  std::unique_ptr<port::Subscription> subscribe(const port::Partition& partition,
                                                port::LogListener& listener) override;
  port::Leases& leases() override;
  void close() noexcept override;
  std::optional<port::Record> find(const port::Partition& partition, const port::Key& key,
                                   port::StateVersion& state, port::Deadline deadline) override;
  port::BackendStats stats() override { return inner_->stats(); }

 private:
  class Counted;  // a view
  class CountedLeases;
  class Relay;      // a listener
  class Relayed;    // its subscription
  struct Request {  // a late one
    std::size_t due;
    port::CommitId id;
    std::vector<port::Batch> batches;
    port::CommitOptions options;
    port::Deadline deadline;
  };

  /// Counts the call; delivers what is due before it.
  Fault begin(Call call);
  void deliver_until(std::size_t number);
  [[noreturn]] void lost(const char* what) const;
  /// Does something that is not a commit.
  template <class Do>
  std::invoke_result_t<const Do&> ask(Asked asked, const Do& call) {
    const Fault fault = begin({.asked = asked});
    if (fault.kind == Fault::Kind::kLoseReply) {
      static_cast<void>(call());
      lost("the reply");
    }
    if (fault.kind != Fault::Kind::kNone) lost("the request");
    return call();
  }

  const std::shared_ptr<port::Backend> inner_;
  Script script_;
  EntryScript entry_script_;
  const std::unique_ptr<CountedLeases> leases_;
  mutable std::mutex mutex_;
  std::size_t calls_ = 0;                     // mutex_
  std::vector<Request> late_;                 // mutex_
  std::vector<std::weak_ptr<Relay>> relays_;  // mutex_
};

}  // namespace graven::test
