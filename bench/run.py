# SPDX-License-Identifier: MIT
"""Measures graven against etcher 0.2: same script, same minute, same durability.

Both use one SQLite file in WAL mode with synchronous=NORMAL. For each case the two take turns
for several rounds; the table shows the median time per operation of each and the median of the
round's ratios. Then graven's own scaling cases (bench/scaling.py). Writes build/bench/graph.json.
Nothing here is a test: figures vary, ratios less.

    python bench/run.py [--rounds 3] [--only TEXT] [--no-scaling]
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import etcher

import figures
import graven
import scaling
from cases import CASES, FIVE_FIELDS, Case, remove_store


class Library:
    """How to open and close a store with one of the two."""

    def __init__(self, name: str, module: Any) -> None:
        self.name = name
        self.module = module

    def open(self, path: Path) -> Any:
        return self.module.DB(str(path))

    def close(self, db: Any) -> None:
        db.shutdown() if hasattr(db, "shutdown") and self.name == "etcher" else db.close()


GRAVEN = Library("graven", graven)
ETCHER = Library("etcher", etcher)


def time_case(library: Library, case: Case, folder: Path, attempt: int) -> float:
    """Seconds per operation of one run on a fresh store."""
    path = folder / f"{library.name}-{attempt}-{abs(hash(case.name))}.db"
    db = library.open(path)
    context = case.setup(db)
    count = case.slow_count if library is ETCHER and case.slow_count else case.count
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    case.run(db, context, count)
    elapsed = time.perf_counter() - start
    gc.enable()
    del context
    library.close(db)
    remove_store(path)
    return elapsed / count


OPENING = """
import importlib, sys, time
module = importlib.import_module(sys.argv[1])
start = time.perf_counter()
db = module.DB(sys.argv[2])
len(db)
print(time.perf_counter() - start)
"""


def time_open(library: Library, path: Path) -> float:
    """Seconds to open a store that exists and read its size, in a process of its own.

    etcher cannot open a path again in a process that has closed it.
    """
    command = [sys.executable, "-c", OPENING, library.name, str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(
    name: str, bar: float, ours: list[float], theirs: list[float], unit: str = "s"
) -> dict[str, Any]:
    row = {
        "case": name,
        "kind": "at least",
        "bar": bar,
        "unit": unit,
        "contestants": [
            {"name": "graven", "role": "ours", "times": ours, "shares": []},
            {"name": "etcher", "role": "rival", "times": theirs, "shares": []},
        ],
    }
    figures.print_case(row)
    return row


def fill_records(library: Library, path: Path, count: int) -> None:
    db = library.open(path)
    for i in range(count):
        db[f"record{i}"] = {**FIVE_FIELDS, "id": i}
    library.close(db)


def compare_opening(folder: Path, rounds: int) -> dict[str, Any]:
    """Opening a store of 20,000 keys."""
    paths = {}
    for library in (GRAVEN, ETCHER):
        path = folder / f"{library.name}-open.db"
        db = library.open(path)
        db["data"] = {f"key{i}": i for i in range(20_000)}
        library.close(db)
        paths[library.name] = path
    ours, theirs = [], []
    for _ in range(max(rounds * 3, 9)):
        ours.append(time_open(GRAVEN, paths["graven"]))
        theirs.append(time_open(ETCHER, paths["etcher"]))
    return compare("open existing (20,000 keys)", 3, ours, theirs)


def compare_size(folder: Path, count: int) -> dict[str, Any]:
    """The file for `count` five-field dicts, after closing."""
    sizes = {}
    for library in (GRAVEN, ETCHER):
        path = folder / f"{library.name}-size.db"
        fill_records(library, path, count)
        sizes[library.name] = sum(f.stat().st_size for f in folder.glob(path.name + "*"))
        remove_store(path)
    ours, theirs = ([float(sizes[library.name])] for library in (GRAVEN, ETCHER))
    return compare(f"file for {count:,} five-field dicts", 5, ours, theirs, "bytes")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each case (default 3)")
    parser.add_argument("--only", default="", help="only cases whose name holds this text")
    parser.add_argument("--size", type=int, default=100_000, help="dicts in the file-size case")
    parser.add_argument("--no-scaling", action="store_true", help="leave out bench/scaling.py")
    options = parser.parse_args()

    results: dict[str, Any] = {
        "rounds": options.rounds,
        "rivals": {"graven": graven.__version__, "etcher": version("etcher")},
        "missing": {},
        "cases": [],
        "scaling": [],
    }
    with tempfile.TemporaryDirectory(prefix="graven-bench-") as name:
        folder = Path(name)
        results["machine"] = figures.machine(folder)
        for case in CASES:
            if options.only not in case.name:
                continue
            ours, theirs = [], []
            for attempt in range(options.rounds):
                ours.append(time_case(GRAVEN, case, folder, attempt))
                theirs.append(time_case(ETCHER, case, folder, attempt))
            results["cases"].append(compare(case.name, case.bar, ours, theirs))
        if options.only in "open existing":
            results["cases"].append(compare_opening(folder, options.rounds))
        if options.only in "file size":
            results["cases"].append(compare_size(folder, options.size))
        if not options.no_scaling:
            results["scaling"] = scaling.run(folder, options.only)
    figures.write("graph", results, part=bool(options.only))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
