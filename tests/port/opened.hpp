// SPDX-License-Identifier: MIT
//
// An open store in a test, with the calls of all its facets: a test need not ask for each.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "port/backend.hpp"

namespace graven::test {

inline base::Deadline in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}
inline base::Deadline soon() { return in(std::chrono::seconds(20)); }

/// The facet of a store that must have it.
template <class Facet>
Facet& must_have(port::Backend& backend) {
  Facet* const facet = port::facet<Facet>(backend);
  if (facet == nullptr) throw std::logic_error(backend.facts().name + " lacks a facet");
  return *facet;
}
inline port::Interactive& records(port::Backend& backend) {
  return must_have<port::Interactive>(backend);
}

/// Waits until everything that was committed is durable.
inline void sync(port::Backend& backend) {
  static_cast<void>(backend.commit({}, {}, {.durable = true}, soon()));
}

/// Used like a pointer to the store.
class Opened {
 public:
  Opened() = default;
  Opened(std::unique_ptr<port::Backend> backend) : backend_(std::move(backend)) {}  // NOLINT

  const Opened* operator->() const { return this; }
  port::Backend& operator*() const { return *backend_; }
  explicit operator bool() const { return backend_ != nullptr; }
  void reset() { backend_.reset(); }
  [[nodiscard]] port::Backend* get() const { return backend_.get(); }
  [[nodiscard]] std::unique_ptr<port::Backend> take() { return std::move(backend_); }

  [[nodiscard]] const port::Facts& facts() const { return backend_->facts(); }
  [[nodiscard]] port::Leases& leases() const { return backend_->leases(); }
  [[nodiscard]] port::BackendStats stats() const { return backend_->stats(); }
  void sync() const { test::sync(*backend_); }
  void close() const { backend_->close(); }

  std::optional<port::Record> load(const port::Key& key) const {
    return records(*backend_).load(key);
  }
  std::optional<port::Record> load_node(std::int64_t id, bool& reclaiming) const {
    return records(*backend_).load_node(id, reclaiming);
  }
  std::unique_ptr<port::View> view() const { return records(*backend_).view(); }
  std::unique_ptr<port::WriteTransaction> begin(base::Deadline deadline) const {
    return records(*backend_).begin(deadline);
  }

  const port::MarkWords* live_mark() const { return state().live_mark(); }
  [[nodiscard]] bool distinctive(const port::Mark& mark) const { return state().distinctive(mark); }
  [[nodiscard]] bool commit_between(const port::Mark& before, const port::Mark& after) const {
    return state().commit_between(before, after);
  }
  port::ChangeFeed* changes() const { return state().changes(); }

  [[nodiscard]] std::vector<std::string> check() const { return files().check(); }
  std::vector<port::Files::Loss> mend() const { return files().mend(); }
  void copy_to(const std::string& path, const port::Copying& how) const {
    files().copy_to(path, how);
  }
  std::uint64_t size_on_disk() const { return files().size_on_disk(); }

  void begin_bulk(std::size_t bytes) const { must_have<port::Bulk>(*backend_).begin_bulk(bytes); }
  bool end_bulk(base::Deadline deadline) const {
    return must_have<port::Bulk>(*backend_).end_bulk(deadline);
  }

  /// Nothing where commits are not kept in memory.
  void flush() const {
    if (auto* write_back = port::facet<port::WriteBack>(*backend_)) write_back->flush();
  }

  std::string maintain() const { return maintenance().maintain(); }
  void when_due(std::function<void(base::Deadline)> wake) const {
    maintenance().when_due(std::move(wake));
  }
  std::optional<base::Deadline> tend() const { return maintenance().tend(); }
  void bound_page_caches(std::size_t bytes) const { maintenance().bound_page_caches(bytes); }

 private:
  [[nodiscard]] port::SharedState& state() const { return must_have<port::SharedState>(*backend_); }
  [[nodiscard]] port::Files& files() const { return must_have<port::Files>(*backend_); }
  [[nodiscard]] port::Maintenance& maintenance() const {
    return must_have<port::Maintenance>(*backend_);
  }

  std::unique_ptr<port::Backend> backend_;
};

}  // namespace graven::test
