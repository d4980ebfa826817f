# SPDX-License-Identifier: MIT
"""The types of the results of DB.stats() and DB.get_connection_stats(), which are plain dicts.

Counts are those of this process since it opened the store; those of `file` are of all processes.
Times are in seconds. docs/operations.md describes each figure and has its name in Prometheus.
"""

from __future__ import annotations

from typing import TypedDict

__all__ = ["Histogram", "PoolStats", "Stats"]


class Histogram(TypedDict):
    """Durations; `buckets` has pairs of an upper limit and a count."""

    count: int
    sum: float
    p50: float
    p90: float
    p99: float
    p999: float
    max: float
    buckets: list[tuple[float, int]]


class CacheStats(TypedDict):
    """What answered reads: memory, the warm file, or the store."""

    hits: int
    misses: int
    warm_hits: int
    evictions: int
    drops: int
    follows: int
    entries: int
    bytes: int
    warm_entries: int


class WriteStats(TypedDict):
    """Commits, and waits of this process's writers for the writer lock (`lane`)."""

    commits: int
    failed: int
    records: int
    bytes: int
    waiting: int
    commit: Histogram
    lane: Histogram


class TransactionStats(TypedDict):
    """Transactions by result, and whether one is open now."""

    committed: int
    rolled_back: int
    expired: int
    conflicts: int
    open: bool


class FlushStats(TypedDict):
    """The flushes of lazy stores in the background."""

    failed: int
    pending_bytes: int
    time: Histogram


class CollectorStats(TypedDict):
    """Dicts and lists that were collected."""

    collected: int
    time: Histogram


class CheckpointStats(TypedDict):
    """Checkpoints; incomplete ones left pages in the WAL."""

    incomplete: int
    time: Histogram


class BusyStats(TypedDict):
    """Waits for locks of other processes, and the waits that timed out."""

    waits: int
    errors: int


class FileStats(TypedDict):
    """The current state of the store's files; `commits` counts those of all processes."""

    name: str
    read_only: bool
    readable: bool
    size_bytes: int
    wal_bytes: int
    page_bytes: int
    free_pages: int
    commits: int


class ProcessStats(TypedDict):
    """Processes that hold dicts and lists which nothing links any more."""

    owners: int


class Stats(TypedDict):
    """The result of DB.stats(); `errors` counts by code, for all stores of the process."""

    cache: CacheStats
    reads: Histogram
    writes: WriteStats
    transactions: TransactionStats
    flushes: FlushStats
    collector: CollectorStats
    checkpoints: CheckpointStats
    busy: BusyStats
    file: FileStats
    process: ProcessStats
    errors: dict[str, int]


class PoolStats(TypedDict):
    """A pool of connections to the file."""

    name: str
    limit: int
    open: int
    active: int
    idle: int
    waiting: int
    utilisation: float
    leases: int
    timeouts: int
    wait: Histogram
    held: Histogram
    oldest: float
    oldest_holder: str
