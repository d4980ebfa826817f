# SPDX-License-Identifier: MIT
"""Queries without an index: 234,000 generated cities, filtered, sorted and grouped.

    PYTHONPATH=build/release/python build/venv/bin/python bench/queries.py [--cities N] [--rounds N]

graven.where() against a Python loop over materialised values, against SQL with JSON operators over
the node table (in graven's SQLite), and, where it is installed, against sqlite-utils on a plain
table. Prints medians in milliseconds, their spread, and ratios. All run in the same rounds.
"""

from __future__ import annotations

import argparse
import heapq
import random
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Callable

import graven
from graven import F

try:
    import sqlite_utils
except ImportError:
    sqlite_utils = None

LEAST = 500_000  # population


def cities(number: int) -> list[dict[str, Any]]:
    chance = random.Random(17)
    countries = [f"{a}{b}" for a in "ABCDEFGHIJKLMN" for b in "ABCDEFGHIJKLMNOP"]
    return [
        {
            "name": "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=9)).title(),
            "country": chance.choice(countries),
            "population": int(chance.paretovariate(0.8) * 1000),
            "lat": chance.uniform(-90, 90),
            "lon": chance.uniform(-180, 180),
        }
        for _ in range(number)
    ]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return (time.perf_counter() - start) * 1000, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cities", type=int, default=234_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rows = cities(options.cities)
    folder = Path(tempfile.mkdtemp(prefix="graven-queries-"))
    db = graven.DB(folder / "cities.db")
    with db.transaction():
        db["cities"] = rows
    peer = None
    if sqlite_utils is not None:
        peer = sqlite_utils.Database(folder / "peer.db")
        peer["cities"].insert_all(rows)

    query = db["cities"].where(F.population > LEAST)
    names = ["name", "population"]
    node = "body ->> '$.population'"

    def group(loop: list[dict[str, Any]]) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for city in loop:
            entry = groups[city["country"]]
            entry[0] += 1
            entry[1] += city["population"]
        return groups

    def sql(text: str) -> list[Any]:
        with db.read_connection() as connection:
            return list(connection.execute(text))

    def peer_sql(text: str) -> list[Any]:
        return list(peer.query(text))

    cases: dict[str, dict[str, Callable[[], Any]]] = {
        "filter": {
            "graven": lambda: list(query.select(*names)),
            "loop": lambda: [c for c in db["cities"]() if c["population"] > LEAST],
            "json": lambda: sql(
                f"SELECT body ->> '$.name', {node} FROM node WHERE {node} > {LEAST}"
            ),
            "sqlite-utils": lambda: list(peer["cities"].rows_where("population > ?", [LEAST])),
        },
        "sort, top 20": {
            "graven": lambda: list(
                db["cities"].where().order_by("-population").limit(20).select(*names)
            ),
            "loop": lambda: heapq.nlargest(20, db["cities"](), key=lambda c: c["population"]),
            "json": lambda: sql(
                f"SELECT body ->> '$.name', {node} FROM node WHERE kind = 0 "
                f"ORDER BY {node} DESC LIMIT 20"
            ),
            "sqlite-utils": lambda: list(
                peer["cities"].rows_where(order_by="population desc", limit=20)
            ),
        },
        "group, sums": {
            "graven": lambda: (
                db["cities"]
                .where()
                .group_by("country", n=graven.count(), s=graven.sum("population"))
            ),
            "loop": lambda: group(db["cities"]()),
            "json": lambda: sql(
                f"SELECT body ->> '$.country', count(*), sum({node}) FROM node "
                "WHERE kind = 0 AND id <> (SELECT min(id) FROM node) GROUP BY 1"
            ),
            "sqlite-utils": lambda: peer_sql(
                "select country, count(*), sum(population) from cities group by country"
            ),
        },
    }
    for name, ways in cases.items():
        if peer is None:
            del ways["sqlite-utils"]
        times: dict[str, list[float]] = {way: [] for way in ways}
        sizes = {}
        for _ in range(options.rounds):
            for way, work in ways.items():
                spent, result = timed(work)
                times[way].append(spent)
                sizes[way] = len(result)
        middle = {way: statistics.median(spent) for way, spent in times.items()}
        print(f"\n{name}")
        for way, spent in times.items():
            ratio = (
                "" if way == "graven" else f"   graven / it: {middle['graven'] / middle[way]:.2f}"
            )
            print(
                f"  {way:14} {middle[way]:8.1f} ms  ({min(spent):.1f} .. {max(spent):.1f})"
                f"  {sizes[way]:6} rows{ratio}"
            )
    db.close()


if __name__ == "__main__":
    main()
