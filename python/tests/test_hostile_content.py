# SPDX-License-Identifier: MIT
"""Whatever SQL did to the tables of a store: Python sees graven's errors, and no others."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import graven
from graven import DB, Map

TABLES = {
    "prefix": ["name", "version", "id", "root"],
    "node": ["id", "version", "prefix", "kind", "anchor", "links", "body"],
    "edge": ["child", "parent", "links"],
    "entry": ["node", "position", "version", "body"],
    "slot": ["node", "hash", "position", "body"],
    "page": ["id", "version", "node", "body"],
    "blob": ["id", "node", "body"],
    "orphan": ["owner", "node"],
    "counter": ["prefix", "name", "value"],
    "map": ["name", "version", "id", "owner", "process"],
    "item": ["map", "key", "kind", "expires", "value"],
    "item_large": ["map", "key", "value"],
    "meta": ["key", "value"],
}
KEYS = {"prefix": 1, "node": 1, "page": 1, "blob": 1, "map": 1, "meta": 1}
VALUES = [
    "NULL",
    "'text'",
    "X'00ff80'",
    "1.5",
    "CAST(X'41ff42' AS TEXT)",
    "9223372036854775807",
    "-1",
    "0",
    "2",
    "{column} + 1",
    "(SELECT id FROM node LIMIT 1 OFFSET {place})",
    "CAST(substr({column}, 1, {place}) || X'7f' || substr({column}, {place} + 2) AS BLOB)",
]


def fill(path: Path) -> None:
    with DB(path) as db:
        db["a"] = {"b": [1, 2, {"c": 3}], "text": "x" * 2000, "bytes": b"raw"}
        db["many"] = {f"key {i}": i for i in range(90)}
        db["long"] = list(range(600))
        db["same"] = [db["a"], db["a"]]
        db.incr("counter")
    with Map(path) as items:
        items.update({"n": 1, "t": "text", "j": {"a": [1, b"x"]}, "large": "z" * 900, "f": 1.5})


def statement(chance: random.Random) -> str:
    table = chance.choice(list(TABLES))
    columns = TABLES[table]
    keys = ", ".join(columns[: KEYS.get(table, 2)])
    place = chance.randrange(chance.choice([6, 90]))
    where = f"WHERE ({keys}) IN (SELECT {keys} FROM {table} LIMIT 1 OFFSET {place})"
    if chance.random() < 0.2:
        return f"DELETE FROM {table} {where}"
    column = chance.choice(columns)
    value = chance.choice(VALUES).format(column=column, place=chance.randrange(40))
    return f"UPDATE OR REPLACE {table} SET {column} = {value} {where}"


def use(path: Path) -> None:
    """Does a little of everything, each on its own: only graven's errors may come."""

    def walk(value: object, depth: int = 3) -> None:
        tried(lambda: repr(value))
        tried(lambda: len(value))  # type: ignore[arg-type]
        if isinstance(value, graven.Dict):
            for key in tried(lambda: list(value)) or []:
                found = tried(lambda key=key: value[key])
                if depth and isinstance(found, (graven.Dict, graven.List)):
                    walk(found, depth - 1)
        else:
            for found in tried(lambda: list(value)) or []:  # type: ignore[call-overload]
                if depth and isinstance(found, (graven.Dict, graven.List)):
                    walk(found, depth - 1)
        tried(lambda: value())  # type: ignore[operator]

    def tried(body):  # type: ignore[no-untyped-def]
        try:
            return body()
        except graven.Error:
            return None

    def read() -> None:
        with DB(path) as db:
            tried(db.check)
            tried(db.prefixes)
            tried(lambda: db.count("counter"))
            walk(db)
            tried(lambda: db.update({"new": {"x": [1]}}))
            for key in ("a", "many", "long", "same"):
                tried(lambda key=key: db.pop(key))
            tried(db.collect)
            tried(db.repair)

    def items() -> None:
        with Map(path) as entries:
            tried(lambda: dict(entries))
            for key in ("n", "t", "j", "large", "f"):
                tried(lambda key=key: entries[key])
            tried(lambda: entries.update({"n": 2, "large": "y" * 900}))
            tried(lambda: len(entries))
            tried(entries.clear)

    tried(read)
    tried(items)


def trials(folder: Path, seed: int, count: int) -> None:
    sound = folder / "sound.db"
    fill(sound)
    for number in range(seed, seed + count):
        chance = random.Random(number)
        path = folder / f"{number}.db"
        shutil.copy(sound, path)
        with sqlite3.connect(path) as db:
            for _ in range(chance.randrange(1, 4)):
                sql = statement(chance)
                try:
                    db.execute(sql)
                except sqlite3.Error:
                    pass
                print(number, sql, flush=True)
        db.close()
        use(path)


def test_only_graven_errors_come(tmp_path: Path) -> None:
    given = os.environ.get("GRAVEN_SEED")
    seed = int(given) if given else random.SystemRandom().randrange(2**32)
    count = 1 if given else 40
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path), str(seed), str(count)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    told = "\n".join(done.stdout.splitlines()[-6:])
    assert done.returncode == 0, f"GRAVEN_SEED is the number before:\n{told}\n{done.stderr}"


def run(path: Path, sql: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(sql)
    db.close()


def test_a_prefix_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    fill(path)
    run(
        path,
        "INSERT INTO prefix SELECT CAST(X'41ff' AS TEXT), version, 99, root FROM prefix"
        " WHERE name = 'main'",
    )
    with DB(path) as db:
        with pytest.raises(graven.CorruptionError):
            db.prefixes()


def test_a_text_of_a_map_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    fill(path)
    run(path, "UPDATE item SET value = CAST(X'41ff' AS TEXT) WHERE key = 't'")
    with Map(path) as items:
        with pytest.raises(graven.CorruptionError):
            items["t"]
        with pytest.raises(graven.CorruptionError):
            dict(items)
    with DB(path) as db:
        assert not db.check().ok
        assert db.repair().left == []
    with Map(path) as items:
        assert items["t"] == b"A\xff"


def test_a_trigger_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    fill(path)
    run(path, "CREATE TRIGGER spy AFTER INSERT ON node BEGIN DELETE FROM counter; END")
    with DB(path) as db:
        with pytest.raises(graven.CorruptionError, match="spy"):
            db["x"] = {"y": 1}
        assert db.repair().left == []
        db["x"] = {"y": 1}
        assert db["x"]() == {"y": 1}


if __name__ == "__main__":
    trials(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
