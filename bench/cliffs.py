# SPDX-License-Identifier: MIT
"""What is cheap as a rule and used not to be beside, behind or after something large.

Ratios are of the same run: reads beside a lazy map that is written all the time to the same reads
in quiet, a watched change in a large container to one in a small one.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import graven
from cases import remove_store

READS = 200_000
PIECE = 500_000


def row(case: str, small: str, large: str, figure: str, bar: str, met: bool) -> dict[str, Any]:
    return {
        "case": case,
        "small": small,
        "large": large,
        "figure": figure,
        "bar": bar,
        "met": met,
    }


def processor_time(reads: Callable[[], None]) -> float:
    """Of this thread, for the reads; not what others take meanwhile."""
    start = time.thread_time()
    reads()
    return time.thread_time() - start


def beside_flushes(folder: Path) -> list[dict[str, Any]]:
    """Repeated reads of 100 keys while another thread writes a lazy map that flushes."""
    path = folder / "flushes.db"
    db, read = graven.DB(str(path)), graven.Map(str(path), "read")
    lazy = graven.Map(str(path), "lazy", persist="lazy", flush_interval=0.05)
    keys = [f"key{i}" for i in range(100)]
    db["graph"] = {key: {"n": i} for i, key in enumerate(keys)}
    read.update({key: i for i, key in enumerate(keys)})

    def of_the_map() -> None:
        for _ in range(READS // len(keys)):
            for key in keys:
                read[key]

    def of_the_graph() -> None:
        for _ in range(READS // 10 // len(keys)):
            for key in keys:
                db["graph"][key]["n"]

    stop = threading.Event()

    def write() -> None:
        batch = {f"item {i}": i for i in range(20_000)}
        while not stop.is_set():
            lazy.update(batch)
            lazy.flush()

    rows = []
    for name, reads, count in (
        ("map", of_the_map, READS),
        ("graph", of_the_graph, READS // 10),
    ):
        reads()
        quiet, beside = [], []
        for _ in range(5):
            quiet.append(processor_time(reads))
            stop.clear()
            writer = threading.Thread(target=write)
            writer.start()
            time.sleep(0.1)
            beside.append(processor_time(reads))
            stop.set()
            writer.join()
        ratio = statistics.median(b / q for q, b in zip(quiet, beside))
        rows.append(
            row(
                f"reads of the {name} beside a lazy map's flushes",
                f"{statistics.median(quiet) / count * 1e9:.0f} ns",
                f"{statistics.median(beside) / count * 1e9:.0f} ns",
                f"{ratio:.2f}x",
                "<= 1.3x",
                ratio <= 1.3,
            )
        )
    lazy.close()
    read.close()
    db.close()
    remove_store(path)
    return rows


def watched_change(folder: Path) -> list[dict[str, Any]]:
    """From a set of one key until a watch of its dict has told of it."""
    costs = {}
    for size in (1_000, 100_000):
        path = folder / "watch.db"
        db = graven.DB(str(path))
        db["dict"] = {f"key{i}": i for i in range(size)}
        with db.watch("dict") as changes:
            times = []
            for i in range(60):
                start = time.perf_counter()
                db["dict"][f"key{i}"] = -1
                assert next(changes).path == f"dict/key{i}"
                times.append(time.perf_counter() - start)
            costs[size] = statistics.median(times)
        db.close()
        remove_store(path)
    small, large = costs.values()
    return [
        row(
            "a watched change: 1,000 and 100,000 entries",
            f"{small * 1e6:.0f} us",
            f"{large * 1e6:.0f} us",
            f"{large / small:.2f}x",
            "<= 3x",
            large <= 3 * small,
        )
    ]


def large_piece(folder: Path) -> list[dict[str, Any]]:
    """A dict and a list of dicts, cut off and reclaimed; and close() right after it."""
    rows = []
    for name, make in (
        ("dict", lambda: {f"k{i}": {"n": i} for i in range(PIECE)}),
        ("list", lambda: [{"n": i} for i in range(PIECE)]),
    ):
        path = folder / "piece.db"
        db = graven.DB(str(path))
        db["piece"] = make()
        start = time.perf_counter()
        del db["piece"]
        db.collect()
        elapsed = time.perf_counter() - start
        assert db.check().nodes == 1
        db["piece"] = make()
        piece = db["piece"]
        del db["piece"]
        start = time.perf_counter()
        db.close()
        closing = time.perf_counter() - start
        del piece
        remove_store(path)
        rate = PIECE / elapsed
        rows.append(
            row(
                f"reclaim a {name} of {PIECE:,} dicts; close() with one held",
                f"{elapsed:.2f} s",
                f"{closing * 1e3:.0f} ms",
                f"{rate / 1e3:.0f} k/s",
                ">= 400 k/s",
                rate >= 400_000,
            )
        )
    return rows


CASES = {
    "beside flushes": beside_flushes,
    "watched change": watched_change,
    "reclaim large piece": large_piece,
}


def run(folder: Path, only: str) -> list[dict[str, Any]]:
    """All cases whose name holds `only`."""
    return [one for name, case in CASES.items() if only in name for one in case(folder)]
