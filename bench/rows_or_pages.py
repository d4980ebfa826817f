# SPDX-License-Identifier: MIT
"""A prototype: large containers as rows, or as pages of their own, in one SQLite file.

Behind docs/design/records.md. Dicts: a row per entry with an index row by hash of key, against
pages of about 1 KiB of entries with the same index row naming the page. Lists: a row per item
whose position leaves gaps, with a side table of counts per block, against a counted tree of
pages. Both sides run on Python's own sqlite3, so the interpreter's share is the same; read the
ratios. Nothing of graven is used.

    python bench/rows_or_pages.py [--entries 100000]
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PAGE_BYTES = 1024
PER_PAGE = 16  # entries of some 60 bytes
PER_LEAF = 128  # small items


def connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA page_size = 2048")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def value(i: int) -> str:
    return f"the value of entry {i}, some forty bytes"


class DictOfRows:
    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute("CREATE TABLE entry (p INTEGER PRIMARY KEY, body) ")
        db.execute("CREATE TABLE slot (h INTEGER PRIMARY KEY, p INTEGER)")
        self.next = 0

    def add(self, key: int) -> None:
        self.db.execute("INSERT INTO entry VALUES (?, ?)", (self.next, value(key)))
        self.db.execute("INSERT INTO slot VALUES (?, ?)", (hash_of(key), self.next))
        self.next += 1

    def change(self, key: int) -> None:
        (p,) = self.db.execute("SELECT p FROM slot WHERE h = ?", (hash_of(key),)).fetchone()
        self.db.execute("UPDATE entry SET body = ? WHERE p = ?", (value(key), p))

    def remove(self, key: int) -> None:
        (p,) = self.db.execute(
            "DELETE FROM slot WHERE h = ? RETURNING p", (hash_of(key),)
        ).fetchone()
        self.db.execute("DELETE FROM entry WHERE p = ?", (p,))

    def read(self, key: int) -> None:
        (p,) = self.db.execute("SELECT p FROM slot WHERE h = ?", (hash_of(key),)).fetchone()
        self.db.execute("SELECT body FROM entry WHERE p = ?", (p,)).fetchone()

    def walk(self) -> None:
        for _ in self.db.execute("SELECT body FROM entry ORDER BY p"):
            pass


class DictOfPages(DictOfRows):
    """The same table of entries, but each row holds up to PER_PAGE of them."""

    def load(self, p: int) -> dict[str, str]:
        row = self.db.execute("SELECT body FROM entry WHERE p = ?", (p,)).fetchone()
        return json.loads(row[0]) if row else {}

    def save(self, p: int, page: dict[str, str]) -> None:
        body = json.dumps(page)
        self.db.execute("INSERT OR REPLACE INTO entry VALUES (?, ?)", (p, body))

    def add(self, key: int) -> None:
        p = self.next // PER_PAGE
        page = self.load(p)
        page[str(key)] = value(key)
        self.save(p, page)
        self.db.execute("INSERT INTO slot VALUES (?, ?)", (hash_of(key), p))
        self.next += 1

    def change(self, key: int) -> None:
        (p,) = self.db.execute("SELECT p FROM slot WHERE h = ?", (hash_of(key),)).fetchone()
        page = self.load(p)
        page[str(key)] = value(key)
        self.save(p, page)

    def remove(self, key: int) -> None:
        (p,) = self.db.execute(
            "DELETE FROM slot WHERE h = ? RETURNING p", (hash_of(key),)
        ).fetchone()
        page = self.load(p)
        del page[str(key)]
        self.save(p, page)

    def read(self, key: int) -> None:
        (p,) = self.db.execute("SELECT p FROM slot WHERE h = ?", (hash_of(key),)).fetchone()
        assert self.load(p)[str(key)]

    def walk(self) -> None:
        for (body,) in self.db.execute("SELECT body FROM entry ORDER BY p"):
            json.loads(body)


def hash_of(key: int) -> int:
    return key * 0x9E3779B97F4A7C15 & 0x7FFFFFFFFFFF


class ListOfRows:
    """A row per item at a position with gaps; counts per block of positions find the i-th."""

    GAP = 1 << 20
    BLOCK = GAP * PER_LEAF

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute("CREATE TABLE item (p INTEGER PRIMARY KEY, body)")
        db.execute("CREATE TABLE block (b INTEGER PRIMARY KEY, count INTEGER)")
        self.next = 0

    def count(self, p: int, by: int) -> None:
        self.db.execute(
            "INSERT INTO block VALUES (?1, ?2) ON CONFLICT (b) DO UPDATE SET count = count + ?2",
            (p // self.BLOCK, by),
        )

    def append(self, item: int) -> None:
        self.db.execute("INSERT INTO item VALUES (?, ?)", (self.next, item))
        self.count(self.next, 1)
        self.next += self.GAP

    def position(self, index: int) -> int:
        for b, count in self.db.execute("SELECT b, count FROM block ORDER BY b"):
            if index < count:
                query = "SELECT p FROM item WHERE p >= ? ORDER BY p LIMIT 1 OFFSET ?"
                return int(self.db.execute(query, (b * self.BLOCK, index)).fetchone()[0])
            index -= count
        raise IndexError

    def insert(self, index: int, item: int) -> None:
        p = self.position(index)
        before = self.db.execute("SELECT max(p) FROM item WHERE p < ?", (p,)).fetchone()[0]
        middle = (p + (before if before is not None else p - self.GAP)) // 2
        self.db.execute("INSERT OR REPLACE INTO item VALUES (?, ?)", (middle, item))
        self.count(middle, 1)

    def read(self, index: int) -> None:
        self.db.execute("SELECT body FROM item WHERE p = ?", (self.position(index),)).fetchone()

    def walk(self) -> None:
        for _ in self.db.execute("SELECT body FROM item ORDER BY p"):
            pass


class ListOfPages:
    """Leaves named, with their counts, by inner pages, and those by a root: two levels."""

    WIDTH = 96

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute("CREATE TABLE page (p INTEGER PRIMARY KEY, body)")
        self.next = 2
        self.save(0, [[1, 0]])
        self.save(1, [])

    def load(self, p: int) -> list:
        return json.loads(self.db.execute("SELECT body FROM page WHERE p = ?", (p,)).fetchone()[0])

    def save(self, p: int, page: list) -> None:
        self.db.execute("INSERT OR REPLACE INTO page VALUES (?, ?)", (p, json.dumps(page)))

    def new(self, page: list) -> int:
        self.save(self.next, page)
        self.next += 1
        return self.next - 1

    @staticmethod
    def down(children: list, index: int) -> tuple[int, int]:
        at = 0
        while at + 1 < len(children) and index >= children[at][1]:
            index -= children[at][1]
            at += 1
        return at, index

    def insert(self, index: int, item: int) -> None:
        root = self.load(0)
        above, index = self.down(root, index)
        inner = self.load(root[above][0])
        if not inner:
            inner.append([self.new([]), 0])
        at, index = self.down(inner, index)
        leaf = self.load(inner[at][0])
        at_end = index == len(leaf)
        leaf.insert(index, item)
        if len(leaf) > PER_LEAF:
            cut = PER_LEAF if at_end else len(leaf) // 2
            inner.insert(at + 1, [self.new(leaf[cut:]), len(leaf) - cut])
            leaf = leaf[:cut]
        self.save(inner[at][0], leaf)
        inner[at][1] = len(leaf)
        if len(inner) > self.WIDTH:
            cut = self.WIDTH if at_end else len(inner) // 2
            root.insert(above + 1, [self.new(inner[cut:]), sum(c for _, c in inner[cut:])])
            inner = inner[:cut]
        self.save(root[above][0], inner)
        root[above][1] = sum(c for _, c in inner)
        self.save(0, root)

    def append(self, item: int) -> None:
        self.insert(1 << 60, item)

    def read(self, index: int) -> None:
        root = self.load(0)
        above, index = self.down(root, index)
        inner = self.load(root[above][0])
        at, index = self.down(inner, index)
        assert self.load(inner[at][0])[index] is not None

    def walk(self) -> None:
        for p, _ in self.load(0):
            for leaf, _ in self.load(p):
                self.load(leaf)


def per_operation(db: sqlite3.Connection, operations: list[Callable[[], None]]) -> float:
    """Microseconds each, every one a transaction of its own."""
    start = time.perf_counter()
    for operation in operations:
        db.execute("BEGIN IMMEDIATE")
        operation()
        db.execute("COMMIT")
    return (time.perf_counter() - start) / len(operations) * 1e6


def measure(kind: type, entries: int, path: Path, is_dict: bool) -> dict[str, float]:
    db = connect(path)
    db.execute("BEGIN")
    container = kind(db)
    for i in range(entries):
        container.add(i) if is_dict else container.append(i)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    chosen = random.Random(1).sample(range(entries), 2000)
    results: dict[str, float] = {"MB": path.stat().st_size / 1e6}
    results["read"] = per_operation(db, [lambda i=i: container.read(i) for i in chosen])
    if is_dict:
        results["change"] = per_operation(db, [lambda i=i: container.change(i) for i in chosen])
        more = range(entries, entries + 2000)
        results["add"] = per_operation(db, [lambda i=i: container.add(i) for i in more])
        results["remove"] = per_operation(db, [lambda i=i: container.remove(i) for i in chosen])
    else:
        results["insert"] = per_operation(db, [lambda i=i: container.insert(i, 0) for i in chosen])
        results["append"] = per_operation(db, [lambda: container.append(0)] * 2000)
    start = time.perf_counter()
    container.walk()
    results["walk"] = (time.perf_counter() - start) * 1e6
    db.close()
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--entries", type=int, default=100_000)
    entries = parser.parse_args().entries
    with tempfile.TemporaryDirectory(prefix="graven-bench-") as folder:
        for name, rows, pages in (
            ("dict", DictOfRows, DictOfPages),
            ("list", ListOfRows, ListOfPages),
        ):
            a = measure(rows, entries, Path(folder) / f"{name}-rows.db", name == "dict")
            b = measure(pages, entries, Path(folder) / f"{name}-pages.db", name == "dict")
            print(f"{name} of {entries:,}      rows        pages   rows/pages")
            for what, mine in a.items():
                print(f"  {what:8} {mine:14,.1f} {b[what]:12,.1f} {mine / b[what]:10.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
