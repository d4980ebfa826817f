# SPDX-License-Identifier: MIT
"""Measures graven on a redis-server against etcher on the same server, in the same minute.

Both programs are the cases of bench/cases.py; the two take turns for several rounds. Then the
memory that the server uses for 100,000 five-field dicts. Nothing here is a test.

    python bench/run_servers.py [--rounds 3] [--only TEXT] [--no-memory]
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import etcher
import redis

import graven
from cases import CASES, FIVE_FIELDS, Case

# The least ratios on a server, etcher's time over graven's.
BARS = {
    "new five-field dict": 5,
    "assign a 1,000-node subtree": 100,
    "delete a 1,000-node subtree": 100,
    "materialise 10,000 nodes": 50,
    "read at depth 3": 100,
}
FEWER = 5  # etcher is slow where each operation is a trip


class SettingNothing:
    """etcher 0.2 sets no fields at all now and then, which redis-py refuses."""

    def hset(self, name: Any, *arguments: Any, mapping: Any = None, **options: Any) -> Any:
        if not arguments and not options and mapping == {}:
            return self if isinstance(self, redis.client.Pipeline) else 0
        return super().hset(name, *arguments, mapping=mapping, **options)  # type: ignore[misc]


class Pipeline(SettingNothing, redis.client.Pipeline):  # type: ignore[type-arg, misc]
    pass


class Client(SettingNothing, redis.Redis):  # type: ignore[type-arg, misc]
    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        return Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


def open_store(library: str, socket: str, name: str) -> Any:
    if library == "graven":
        return graven.DB(f"unix://{socket}?key_prefix={name}")
    return etcher.DB(prefix=name, redis=Client(unix_socket_path=socket))


def time_case(library: str, case: Case, socket: str, name: str) -> float:
    """Seconds per operation of one run on a fresh store."""
    db = open_store(library, socket, name)
    context = case.setup(db)
    count = case.count
    if library == "etcher":
        count = case.slow_count or max(1, case.count // FEWER)
    gc.collect()
    start = time.perf_counter()
    case.run(db, context, count)
    elapsed = time.perf_counter() - start
    if library == "graven":
        db.close()
    redis.Redis(unix_socket_path=socket).flushall()
    return elapsed / count


def memory(library: str, socket: str, count: int) -> int:
    """Bytes of the server for so many five-field dicts."""
    server = redis.Redis(unix_socket_path=socket)
    before = server.info("memory")["used_memory"]
    db = open_store(library, socket, "memory")
    if library == "graven":
        for first in range(0, count, 1000):
            with db.transaction():
                for i in range(first, first + 1000):
                    db[f"record{i}"] = {**FIVE_FIELDS, "id": i}
    else:
        for i in range(count):
            db[f"record{i}"] = {**FIVE_FIELDS, "id": i}
    used = int(server.info("memory")["used_memory"]) - before
    if library == "graven":
        db.close()
    server.flushall()
    return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--no-memory", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/s"
        server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            while not Path(socket).exists():
                time.sleep(0.05)
            measure(arguments, socket)
        finally:
            server.kill()
            server.wait()


def measure(arguments: argparse.Namespace, socket: str) -> None:
    for case in CASES:
        if case.name not in BARS or arguments.only not in case.name:
            continue
        times: dict[str, list[float]] = {"graven": [], "etcher": []}
        for attempt in range(arguments.rounds):
            for library, found in times.items():
                found.append(time_case(library, case, socket, f"case{attempt}"))
        ours, theirs = (statistics.median(found) for found in times.values())
        ratios = [b / a for a, b in zip(times["graven"], times["etcher"])]
        print(
            f"{case.name}: graven {ours * 1e6:.1f} us, etcher {theirs * 1e6:.1f} us, "
            f"{statistics.median(ratios):.1f}x ({min(ratios):.1f} to {max(ratios):.1f}); "
            f"asked for {BARS[case.name]}x",
            flush=True,
        )
    if not arguments.no_memory:
        count = 100_000
        ours_bytes, theirs_bytes = (memory(each, socket, count) for each in ("graven", "etcher"))
        print(
            f"memory of {count:,} five-field dicts: graven {ours_bytes / count:.0f} bytes each, "
            f"etcher {theirs_bytes / count:.0f}: {ours_bytes / theirs_bytes:.2f}x; "
            "asked for at most 0.45x"
        )


if __name__ == "__main__":
    main()
