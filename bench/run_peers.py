# SPDX-License-Identifier: MIT
"""Measures graven.Map against its Python peers: one table of cases, all peers in one run.

Within a case the peers take turns, round by round; the first round warms up and is not counted.
Before anything is measured each peer must read back what it was given. A peer that is not there
or fails is named with the reason, and the others go on. Writes build/bench/peers.json.

    python bench/run_peers.py [--rounds 5] [--only TEXT] [--peers graven,dict,lmdb]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import figures
from peers import cases, embedded, engines
from peers.cases import BATCH, BULK, CASES, SIZE, Case
from peers.peer import Peer

HERE = Path(__file__).resolve().parent
WARMING = 2  # rounds that do not count: a cache may learn a key when it is met again
Kind = type[Peer]


def timed(work: Callable[[], Any]) -> float:
    gc.collect()
    gc.disable()
    begin = time.perf_counter()
    work()
    elapsed = time.perf_counter() - begin
    gc.enable()
    return elapsed


def files_of(path: Path) -> list[Path]:
    found = [path, *path.parent.glob(path.name + "[.-]*")]
    every = [file for top in found for file in (top.rglob("*") if top.is_dir() else [top])]
    return sorted({file for file in every if file.is_file()})


def reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".split("\n")[0][:200]


class Runner:
    """The stores under way in one folder, and the rows measured so far."""

    def __init__(self, folder: Path, peers: list[Kind], rounds: int, only: str) -> None:
        self.folder = folder
        self.peers = peers
        self.rounds = rounds
        self.only = only
        self.entries = cases.entries()
        self.keys = cases.shuffled(list(self.entries))
        self.ballast = cases.ballast()
        self.rows: list[dict[str, Any]] = []

    def store_path(self, peer: Kind, what: str) -> Path:
        folder = self.folder / f"{peer.name}-{what}"
        folder.mkdir(exist_ok=True)
        return folder / "store"

    def filled_mode(self, peer: Kind) -> str:
        return "normal" if "normal" not in peer.lacks or peer is embedded.Dict else "full"

    # Each operation gives the function that a turn times, and how many operations that is.
    def turn(self, case: Case, peer: Kind, store: Peer, number: int) -> float:
        count = case.slow_count if peer.slow else case.count
        if case.operation == "read":
            keys = self.keys[:count]
            return timed(lambda: store.read(keys)) / count
        if case.operation == "read in a loop":
            keys = self.keys[:BATCH]
            return timed(lambda: [store.read(keys) for _ in range(count)]) / (count * BATCH)
        if case.operation == "read_many":
            batches = [self.keys[i : i + BATCH] for i in range(0, count, BATCH)]
            return timed(lambda: [store.read_many(batch) for batch in batches]) / count
        if case.operation == "iterate":
            return timed(lambda: sum(1 for _ in islice(store.items(), count))) / count
        if case.operation == "delete":
            keys = self.keys[number * count : (number + 1) * count]
            return timed(lambda: store.delete(keys)) / count
        items = [cases.entry(10**7 + number * count + i) for i in range(count)]
        if case.operation == "write":
            elapsed = timed(lambda: store.write(items))
            store.flush()
            return elapsed / count
        if case.operation == "write and flush":
            return timed(lambda: (store.write(items), store.flush())) / count
        raise ValueError(case.operation)

    def lacking(self, case: Case, peer: Kind) -> str | None:
        if peer is embedded.Dict and case.filled and case.operation != "open":
            return None
        mode = self.filled_mode(peer) if case.filled else case.mode
        for what in (mode, case.operation):
            if what in peer.lacks:
                return peer.lacks[what]
        if case.operation == "delete" and mode != case.mode:
            return peer.lacks[case.mode]
        return None

    def row(self, case: Case, times: dict[str, list[float]], without: dict[str, str]) -> None:
        people = [
            {
                "name": peer.name,
                "role": "ours" if peer is embedded.Graven else "rival",
                "times": times[peer.name],
                "shares": [],
            }
            for peer in self.peers
            if times.get(peer.name)
        ]
        against = {name: ("at least", bar) for name, bar in case.bars.items()}
        self.rows.append(
            {
                "case": case.name,
                "kind": "none",
                "bar": 0,
                "unit": case.unit,
                "against": against,
                "contestants": people,
                "without": without,
            }
        )
        if any(person["role"] == "ours" for person in people):
            figures.print_case(self.rows[-1])
        else:
            for person in people:
                middle = figures.shown(statistics.median(person["times"]), case.unit)
                print(f"{case.name[:58]:58} {person['name']:12} {middle:>12}", flush=True)

    def rounds_of(self, case: Case, stores: dict[Kind, Peer], without: dict[str, str]) -> None:
        times: dict[str, list[float]] = {}
        for number in range(WARMING + self.rounds):
            for peer, store in stores.items():
                if peer.name in without:
                    continue
                try:
                    elapsed = self.turn(case, peer, store, number)
                except Exception as error:
                    without[peer.name] = reason(error)
                    times.pop(peer.name, None)
                    continue
                if number >= WARMING:
                    times.setdefault(peer.name, []).append(elapsed)
        self.row(case, times, without)

    def bulk(self) -> dict[Kind, Path]:
        """Fills a store of each peer anew in each round; returns the last round's, closed."""
        times: dict[str, list[float]] = {}
        sizes: dict[str, list[float]] = {}
        without: dict[str, str] = {}
        filled: dict[Kind, Path] = {}
        for number in range(min(self.rounds, 3)):
            for peer in self.peers:
                if peer.name in without:
                    continue
                path = self.store_path(peer, f"filled{number}")
                if peer is embedded.Dict:
                    filled[peer] = path
                    continue
                try:
                    store = peer(path, self.filled_mode(peer))
                    elapsed = timed(lambda: store.write_all(self.entries))
                    store.close()
                except Exception as error:
                    without[peer.name] = reason(error)
                    filled.pop(peer, None)
                    continue
                times.setdefault(peer.name, []).append(elapsed / len(self.entries))
                size = sum(file.stat().st_size for file in files_of(path))
                sizes.setdefault(peer.name, []).append(size)
                if peer in filled:
                    shutil.rmtree(filled[peer].parent)
                filled[peer] = path
        if self.only in BULK.name:
            self.row(BULK, times, without)
        if self.only in SIZE.name:
            self.row(SIZE, sizes, dict(without))
        return filled

    def opening(self, case: Case, filled: dict[Kind, Path]) -> None:
        times: dict[str, list[float]] = {}
        without: dict[str, str] = {}
        modules = os.pathsep.join(str(Path(folder).resolve()) for folder in sys.path if folder)
        environment = {**os.environ, "PYTHONPATH": modules}
        for number in range(self.rounds + 1):
            for peer, path in filled.items():
                why = self.lacking(case, peer)
                if why or peer.name in without:
                    without.setdefault(peer.name, why or "")
                    continue
                command = [sys.executable, "-m", "peers.opening", peer.name, path, self.keys[0]]
                done = subprocess.run(command, env=environment, capture_output=True, text=True)
                if done.returncode:
                    without[peer.name] = (done.stderr.strip().splitlines() or ["?"])[-1][:200]
                elif number:
                    times.setdefault(peer.name, []).append(float(done.stdout))
        self.row(case, times, without)

    def opened(self, peer: Kind, path: Path) -> Peer:
        if peer is embedded.Dict:
            store = peer(path, "lazy")
            store.write_all(self.entries)
            return store
        if not peer.reopens:
            copy = path.parent.with_name(path.parent.name + "-copy")
            shutil.copytree(path.parent, copy)
            path = copy / path.name
        return peer(path, self.filled_mode(peer))

    def on_filled_stores(self) -> None:
        chosen = [case for case in CASES if case.filled and self.only in case.name]
        bulk_wanted = self.only in BULK.name or self.only in SIZE.name
        if not chosen and not bulk_wanted:
            return
        filled = self.bulk()
        for case in chosen:
            if case.operation == "open":
                self.opening(case, filled)
        stores: dict[Kind, Peer] = {}
        failed: dict[str, str] = {}
        for peer, path in filled.items():
            try:
                stores[peer] = self.opened(peer, path)
                some = self.keys[:BATCH]
                if list(stores[peer].read_many(some)) != [self.entries[key] for key in some]:
                    raise RuntimeError("did not read back what it was given")
            except Exception as error:
                failed[peer.name] = reason(error)
                stores.pop(peer, None)
        for case in chosen:
            if case.operation == "open":
                continue
            without = dict(failed)
            for peer in stores:
                why = self.lacking(case, peer)
                if why:
                    without[peer.name] = why
            self.rounds_of(case, stores, without)
        self.close(stores)

    def on_new_stores(self) -> None:
        for case in CASES:
            if case.filled or self.only not in case.name:
                continue
            stores: dict[Kind, Peer] = {}
            without: dict[str, str] = {}
            for peer in self.peers:
                why = self.lacking(case, peer)
                if why:
                    without[peer.name] = why
                    continue
                path = self.store_path(peer, f"{case.operation}-{case.mode}".replace(" ", "-"))
                try:
                    store = peer(path, case.mode)
                    store.write_all(self.ballast)
                    store.flush()
                    stores[peer] = store
                except Exception as error:
                    without[peer.name] = reason(error)
            self.rounds_of(case, stores, without)
            self.close(stores)

    def close(self, stores: dict[Kind, Peer]) -> None:
        for peer, store in stores.items():
            try:
                store.close()
            except Exception as error:
                print(f"{peer.name}: closing: {reason(error)}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default 5)")
    parser.add_argument("--only", default="", help="only cases whose name holds this text")
    parser.add_argument("--peers", default="", help="only these, separated by commas")
    options = parser.parse_args()

    stamp = HERE.parent / "build" / "bench-venv" / "installed.json"
    reasons = json.loads(stamp.read_text())["reasons"] if stamp.exists() else {}
    present, versions, missing = [], {}, {}
    for peer in embedded.PEERS + engines.PEERS:
        if options.peers and peer.name not in options.peers.split(","):
            continue
        try:
            versions[peer.name] = peer.load()
            present.append(peer)
        except Exception as error:
            missing[peer.name] = reasons.get(peer.package) or reason(error)
            print(f"not there: {peer.name}: {missing[peer.name]}", flush=True)
    with tempfile.TemporaryDirectory(prefix="graven-peers-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        machine = figures.machine(folder)
        runner = Runner(folder, present, options.rounds, options.only)
        runner.on_filled_stores()
        runner.on_new_stores()
    results = {
        "rounds": options.rounds,
        "rivals": versions,
        "missing": missing,
        "machine": machine,
        "cases": runner.rows,
    }
    figures.write("peers", results, part=bool(options.only or options.peers))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
