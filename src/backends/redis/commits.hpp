// SPDX-License-Identifier: MIT
//
// Sends commits, asks what became of them, and waits until they are durable.
//
// Any thread.
#pragma once

#include <span>

#include "backends/redis/core.hpp"
#include "port/batch.hpp"

namespace graven::redis {

/// Backend::commit().
port::CommitResult commit(Core& core, const port::CommitId& id,
                          std::span<const port::Batch> batches, const port::CommitOptions& options,
                          Deadline deadline);
/// Backend::resolve().
port::CommitResult resolve(Core& core, const port::CommitId& id,
                           std::span<const port::Partition> partitions, Deadline deadline);

}  // namespace graven::redis
