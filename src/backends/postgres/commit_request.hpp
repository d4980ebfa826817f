// SPDX-License-Identifier: MIT
//
// One batch as a call of the server's commit function, and its answer as a CommitResult.
//
// One thread at a time.
#pragma once

#include <string>
#include <vector>

#include "backends/postgres/connection.hpp"
#include "backends/postgres/store.hpp"
#include "port/batch.hpp"

namespace graven::postgres {

/// Names are in B-tree indexes, whose rows have less than 2,704 bytes.
inline constexpr std::size_t kLongestName = 2'600;

/// UsageError for an operation on a space that it is not for.
void require_allowed(std::span<const port::Batch> batches);
/// Whether the server takes every name of the batch.
bool names_fit(const port::Batch& batch);

class CommitRequest {
 public:
  /// `bits` besides those that the batch itself asks for. The batch must outlive it.
  CommitRequest(const Store& store, const port::CommitId& id, const port::Batch& batch, int bits,
                ServerTime latest);

  [[nodiscard]] const std::string& text() const noexcept { return *text_; }
  [[nodiscard]] const Parameters& parameters() const noexcept { return parameters_; }

  [[nodiscard]] port::CommitResult result(const Result& answer, Connection& connection) const;

 private:
  void add_predicates(const port::Batch& batch);
  void add_changes(const port::Batch& batch);
  void add_ranges(const port::Batch& batch);
  void add_operations(const port::Batch& batch);

  std::vector<const port::Predicate*> on_keys_{};
  const std::string* text_ = nullptr;
  Parameters parameters_;
};

/// For a call of resolve() for one partition.
Parameters resolve_parameters(const Store& store, const port::CommitId& id,
                              const port::Partition& partition, ServerTime latest);
/// The answer of either; `on_keys` are the predicates that fresh records are for.
port::CommitResult result_of(const Result& answer, std::span<const port::Predicate* const> on_keys,
                             Connection& connection);

}  // namespace graven::postgres
