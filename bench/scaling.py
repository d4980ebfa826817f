# SPDX-License-Identifier: MIT
"""How the cost of an operation depends on the size of the graph, and the collector's hard cases.

Each case runs the same operation in a small and in a large store, in turn, and compares medians;
or builds a structure that naive collectors choke on, cuts it off, and measures until its last
record is gone, while another process keeps writing and notes its longest wait.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cliffs
import graven
from cases import remove_store

SMALL, LARGE = 1_000, 1_000_000


def median_time(operation: Callable[[int], Any], count: int) -> float:
    times = []
    for i in range(count):
        start = time.perf_counter()
        operation(i)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def ballast(db: Any, nodes: int) -> None:
    """Fills the store with that many nodes in a balanced shape."""
    per_group = 1000
    for group in range(max(1, nodes // per_group)):
        db[f"group{group}"] = {f"n{i}": {"v": i} for i in range(per_group)}


def unlink_one_of_ten(db: Any, rounds: int) -> float:
    """A node with ten parents loses one that is not its anchor."""
    db["parents"] = [{} for _ in range(10)]
    parents = list(db["parents"])
    nodes = []
    for i in range(rounds):
        parents[0][f"x{i}"] = {"v": i}
        node = parents[0][f"x{i}"]
        for parent in parents[1:]:
            parent[f"x{i}"] = node
        nodes.append(node)
    cost = median_time(lambda i: parents[5].__delitem__(f"x{i}"), rounds)
    assert all(node.refcount == 9 for node in nodes)
    del db["parents"]
    return cost


def unlink_hub_anchor(db: Any, nodes: int, rounds: int) -> float:
    """A hub over most of the store, linked from two places, loses its anchor edge.

    Its children are all linked elsewhere too. The hub is put back each time.
    """
    if "hub" not in db:
        members = {}
        for group in [key for key in db if key.startswith("group")]:
            for name, node in db[group].items():
                members[f"{group}/{name}"] = node
        db["hub"] = {"members": members}
    hub = db["hub"]
    cost = []
    for i in range(rounds):
        # The newest link becomes the anchor only when the old one goes: cut the anchor, which is
        # the oldest, and link again under the next name.
        old = "hub" if i == 0 else f"anchor{i - 1}"
        db[f"anchor{i}"] = hub
        start = time.perf_counter()
        del db[old]
        cost.append(time.perf_counter() - start)
    db["hub"] = hub
    return statistics.median(cost)


def scale(
    folder: Path, name: str, bar: float, measure: Callable[[Any, int], float]
) -> dict[str, Any]:
    costs = {}
    for size in (SMALL, LARGE):
        path = folder / f"scale-{size}.db"
        fresh = not path.exists()
        db = graven.DB(str(path))
        if fresh:
            ballast(db, size)
        costs[size] = measure(db, size)
        db.close()
    ratio = costs[LARGE] / costs[SMALL]
    row = {
        "case": f"{name}: {SMALL:,} and {LARGE:,} nodes",
        "small": f"{costs[SMALL] * 1e6:.0f} us",
        "large": f"{costs[LARGE] * 1e6:.0f} us",
        "figure": f"{ratio:.2f}x",
        "bar": f"<= {bar:g}x",
        "met": ratio <= bar,
    }
    report(row)
    return row


def report(row: dict[str, Any]) -> None:
    print(
        f"{row['case']:58} {row['small']:>10} {row['large']:>10} {row['figure']:>9} "
        f"({row['bar']}) {'ok' if row['met'] else 'MISSED'}",
        flush=True,
    )


def keep_writing(path: str, stop: Any, longest: Any) -> None:
    """Another process: increments a counter and notes its longest wait."""
    db = graven.DB(path)
    while not stop.is_set():
        start = time.perf_counter()
        db.incr("writes")
        longest.value = max(longest.value, time.perf_counter() - start)
        time.sleep(0.001)
    db.close()


def collect_structure(folder: Path, name: str, build: Callable[[Any], None]) -> dict[str, Any]:
    path = folder / "collect.db"
    db = graven.DB(str(path))
    build(db)
    nodes = db.check().nodes
    context = multiprocessing.get_context("spawn")
    stop, longest = context.Event(), context.Value("d", 0.0)
    writer = context.Process(target=keep_writing, args=(str(path), stop, longest))
    writer.start()
    while db.count("writes") == 0:
        time.sleep(0.01)
    longest.value = 0.0
    start = time.perf_counter()
    del db["top"]
    db.collect()
    elapsed = time.perf_counter() - start
    stop.set()
    writer.join()
    gone = nodes - db.check().nodes
    db.close()
    remove_store(path)
    row = {
        "case": f"collect {name} ({gone:,} nodes)",
        "small": f"{elapsed:.2f} s",
        "large": f"{longest.value:.3f} s",
        "figure": "time, another process's longest wait",
        "bar": "< 8 s, < 1 s",
        "met": elapsed < 8 and longest.value < 1 and gone == nodes - 1,
    }
    report(row)
    return row


def diamonds(db: Any) -> None:
    """A chain of 1,000 diamonds whose bottom links to its top."""
    bottom: dict[str, Any] = {}
    node = bottom
    for _ in range(1000):
        node = {"left": {"down": node}, "right": {"down": node}}
    bottom["top"] = node
    db["top"] = node


def friends(db: Any) -> None:
    """300 dicts, each linking to all others."""
    people: list[dict[str, Any]] = [{"id": i} for i in range(300)]
    for person in people:
        person["friends"] = people
    db["top"] = people


def chain(db: Any) -> None:
    """A chain of 1,000,000 dicts."""
    node: dict[str, Any] = {}
    for _ in range(LARGE - 1):
        node = {"next": node}
    db["top"] = node


def container_costs(folder: Path) -> list[dict[str, Any]]:
    """Operations on a dict and a list of 1,000 and 1,000,000 entries."""
    costs: dict[str, dict[int, float]] = {}

    def note(name: str, size: int, cost: float) -> None:
        costs.setdefault(name, {})[size] = cost

    for size in (SMALL, LARGE):
        path = folder / "container.db"
        db = graven.DB(str(path))
        db["dict"] = {f"key{i}": i for i in range(size)}
        db["list"] = list(range(size))
        mapping, items = db["dict"], db["list"]
        middle = size // 2
        note(
            "dict: set an existing key",
            size,
            median_time(lambda i: mapping.__setitem__(f"key{(i * 7919) % size}", -i), 300),
        )
        note("dict: add a key", size, median_time(lambda i: mapping.__setitem__(f"new{i}", i), 300))
        note("dict: delete a key", size, median_time(lambda i: mapping.__delitem__(f"new{i}"), 300))
        note(
            "list: set in the middle",
            size,
            median_time(lambda i: items.__setitem__(middle + i, -i), 300),
        )
        note(
            "list: insert in the middle", size, median_time(lambda i: items.insert(middle, i), 300)
        )
        note("list: pop in the middle", size, median_time(lambda i: items.pop(middle), 300))
        note("list: pop at the front", size, median_time(lambda i: items.pop(0), 300))
        assert list(mapping)[:3] == ["key0", "key1", "key2"]
        db.close()
        remove_store(path)
    rows = []
    for name, cost in costs.items():
        ratio = cost[LARGE] / cost[SMALL]
        rows.append(
            {
                "case": f"{name}: {SMALL:,} and {LARGE:,} entries",
                "small": f"{cost[SMALL] * 1e6:.0f} us",
                "large": f"{cost[LARGE] * 1e6:.0f} us",
                "figure": f"{ratio:.2f}x",
                "bar": "<= 3x",
                "met": ratio <= 3,
            }
        )
        report(rows[-1])
    return rows


def run(folder: Path, only: str) -> list[dict[str, Any]]:
    """All scaling cases whose name holds `only`."""
    rows = []
    if only in "unlink":
        rows.append(
            scale(folder, "unlink one of 10 edges", 2, lambda db, _: unlink_one_of_ten(db, 200))
        )
        rows.append(
            scale(
                folder, "unlink a hub's anchor edge", 2, lambda db, n: unlink_hub_anchor(db, n, 100)
            )
        )
        remove_store(folder / f"scale-{SMALL}.db")
        remove_store(folder / f"scale-{LARGE}.db")
    if only in "container":
        rows += container_costs(folder)
    for name, build in (
        ("1,000 diamonds in a circle", diamonds),
        ("300 mutual friends", friends),
        ("a chain of 1,000,000", chain),
    ):
        if only in f"collect {name}":
            rows.append(collect_structure(folder, name, build))
    for row in cliffs.run(folder, only):
        rows.append(row)
        report(row)
    return rows
