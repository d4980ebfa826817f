# SPDX-License-Identifier: MIT
"""A program that uses all of graven's interface; mypy --strict must accept it, and it runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import ItemsView, Iterator, KeysView, Mapping, MutableMapping, MutableSequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import graven
from graven import DB, RD, RL, Dict, F, List, Map, WatchError, aio


def keys_of(mapping: Mapping[str, Any]) -> list[str]:
    return list(mapping.keys())


def first(items: MutableSequence[Any]) -> Any:
    return items[0]


def containers(db: DB) -> None:
    db["person"] = {"name": "Ada", "tags": ["a", "b"]}
    person: Dict = db["person"]
    name: str = person["name"]
    assert name == "Ada"
    plain: dict[str, Any] = person()
    assert plain["tags"] == ["a", "b"]
    as_mapping: MutableMapping[str, Any] = person
    assert keys_of(as_mapping) == ["name", "tags"]
    assert keys_of(db) == ["person"]

    person.update({"age": 36}, city="London")
    person.update([("x", 1)])
    age: int = person.get("age", 0)
    merged: dict[str, Any] = person | {"more": 1}
    person |= {"y": 2}
    assert len(merged) == 6 and age == 36
    person.setdefault("friends", []).append(person)
    popped: Any = person.pop("x")
    assert person.pop("x", None) is None and popped == 1
    last: tuple[str, Any] = person.popitem()
    assert last[0] == "friends"
    backwards: Iterator[str] = reversed(person)
    assert next(backwards) == "y"
    assert person.keys() & {"name"} == {"name"}
    assert ("name", "Ada") in person.items()
    total = sum(value for value in person.values() if isinstance(value, int))
    assert total == 38
    counted: int = person.update_with("n", lambda n: n + 1, 0)
    assert counted == 1
    del person["n"]
    copy: dict[str, Any] = person.copy()
    assert isinstance(copy["tags"], List)

    tags: List = person["tags"]
    assert first(tags) == "a"
    tags += ["c"]
    tags.insert(0, "z")
    tags[1:2] = ("x", "y")
    part: list[Any] = tags[::2]
    assert part == ["z", "y", "c"]
    tags.sort(key=str.upper, reverse=True)
    tags.reverse()
    assert tags.index("y") == 3 or tags.count("y") == 1
    tags.remove("y")
    assert tags.pop() == "z"
    del tags[0]
    both: list[Any] = tags + [1]
    twice: list[Any] = tags * 2
    assert len(twice) == 2 * (len(both) - 1)
    everything: list[Any] = tags()
    assert everything == tags.copy()

    unlinked: RD = RD(db, {"a": 1}, b=2)
    db["list"] = RL(db, [unlinked, (1, 2)])
    uid: str = unlinked.uid
    parents: dict[str, int] = unlinked.backrefs
    assert unlinked.refcount == len(parents) == 1
    assert db.get_via_uid(uid) == unlinked and unlinked.exists()
    path: list[str] = db.why_alive(unlinked)
    assert path[0] == db.root.uid


def queries(db: DB) -> None:
    db["users"] = {"a": {"name": "Ada", "age": 36, "tags": ["x"]}, "b": {"name": "Bob", "age": 5}}
    users: Dict = db["users"]
    adult: graven.Condition = (F.age >= 18) & ~F.name.startswith("B") | F.tags.any(F == "x")
    age: graven.Field = F.age
    query: graven.Query = users.where(adult).where(age.in_([36, 37])).order_by("-age", F.name)
    for row in query.limit(3).offset(0):
        print(row["name"])
    number: int = query.count()
    there: bool = query.exists()
    assert number == 1 and there and query.first()["age"] == 36
    assert dict(query.items()) == {"a": users["a"]} and list(query.keys()) == ["a"]
    assert list(query.select("name", F["age"])) == [{"name": "Ada", "age": 36}]
    groups: list[dict[str, Any]] = users.where().group_by(
        "age", n=graven.count(), s=graven.sum(age)
    )
    assert len(groups) == 2
    told: graven.Explanation = users.where(lambda user: user.age > 18).explain()
    assert told.plan == "python" and told.matches == 1
    assert users.where(F.age < 18).update(minor=True) == 1
    assert db["users"].where(F.minor == True).delete() == 1  # noqa: E712


def transactions(db: DB) -> None:
    with db.transaction():
        db["n"] = {"v": 0}
        assert db.in_transaction
    t: graven.Transactor = db.transactor()

    def step() -> int:
        value: int = t["n"]["v"]
        t.multi()
        t["n"]["v"] = value + 1
        t.incr("steps")
        return value

    result: int = t.transact(step)
    assert result == 0
    t.watch(db["n"])
    db["n"]["v"] = 10
    t["n"]["v"] = 5
    try:
        t.execute()
    except WatchError as error:
        assert error.code == "conflict"
    t.discard()
    with db.snapshot() as before:
        db["n"]["v"] = 11
        assert before["n"]["v"] == 10 and before.count("steps") == 1


def housekeeping(db: DB, path: Path) -> None:
    told: graven.Stats = db.stats()
    assert told["writes"]["commits"] > 0 and told["errors"]["corruption"] == 0
    pools: dict[str, graven.PoolStats] = db.get_connection_stats()
    assert pools["readers"]["limit"] > 0
    exposed: str = db.metrics()
    assert "graven_commits_total{" in exposed
    assert db.incr("visits") + db.incr("visits", 2) + db.decr("visits") == 6
    visits: int = db.count("visits")
    assert visits == 2
    db.set_prefix(db.new_prefix(), require_empty=True)
    assert db.prefix in db.prefixes() and not db.prefix_in_use("nobody")
    other: DB = db.with_prefix("main")
    other.close()
    removed: int = db.delete_prefix_immediately(db.get_prefix())
    while db.delete_prefix_batch("gone", count=10):
        pass
    db.maintenance()
    asyncio.run(db.maintenance_async())
    collected: int = db.collect()
    report: graven.CheckReport = db.check(lambda done, total: None)
    problems: list[graven.Problem] = report.problems
    for problem in problems:
        print(problem.node, problem.what)
    assert report.ok and removed >= 0 and collected >= 0
    assert str(path) in db.name and db.size_on_disk() > 0 and not db.read_only


def maps(path: Path) -> None:
    with Map(path, "cache", "lazy", hot_capacity=1000, flush_interval=0.5) as m:
        m["a"] = 1
        m.set("b", {"x": [1]}, ttl=60)
        m.set("c", b"", ttl=timedelta(hours=1))
        as_mapping: MutableMapping[str, Any] = m
        assert keys_of(as_mapping) == ["a", "b", "c"]
        values: list[Any] = m.get_many(["a", "z"], default=0)
        assert values == [1, 0] and m.get("z") is None and m.get("z", 2) == 2
        m.update({"d": 4}, e=5)
        m.bulk_insert([("f", 6)])
        m |= {"g": 7}
        m.update({"h": 8}, ttl=60)
        n: int = m.incr("n", 2, default=40)
        made: bool = m.add("n", 0, ttl=timedelta(minutes=1))
        assert n == 42 and m.decr("n") == 41 and not made
        assert m.update_with("n", lambda old: old + 1) == m.update_with("n", int, 0) == 42
        removed: int = m.delete_many(["d", "e", "h", "n"])
        items: ItemsView[str, Any] = m.items()
        assert removed == 4 and ("f", 6) in items and m.keys() >= {"a"} and 7 in m.values()
        copy: dict[str, Any] = m.copy()
        entry: tuple[str, Any] = m.popitem()
        assert copy == m | {"a": 1} and entry == ("a", 1) and m.setdefault("a", 1) == m.pop("a")
        some: KeysView[str] = m.keys(prefix="a", start="a", stop="b", reverse=True, limit=2)
        end: tuple[str, Any] | None = m.last()
        left: float | None = m.ttl("g")
        assert list(some) == [] and end is not None and left is None and list(reversed(m))
        assert m.touch("g", 60) and m.touch("g", None) and m.expire_at("g", 2e9)
        popped: list[Any] = m.pop_many(["g", "z"], default=0)
        assert popped[1] == 0 and m.get_or_set("g", lambda: 7, ttl=timedelta(hours=1)) == 7
        m.flush()
        m.wait_durable()
        stats: graven.MapStats = m.stats()
        assert stats.pending == 0 and m.name == "cache" and not m.closed


async def asynchronous(path: Path) -> None:
    async with aio.AsyncMap(path, "async") as m:
        await m.set("a", 1, ttl=60.0)
        value: Any = await m.get("a", 0)
        keys: list[str] = [key async for key in m]
        entries: list[tuple[str, Any]] = [item async for item in m.items()]
        many: list[Any] = await m.get_many(keys)
        assert many == [value] and entries == [("a", 1)] and await m.size() == 1
        await m.update({"b": 2})
        counted: int = await m.incr("n") + await m.decr("n", by=2)
        assert counted == 0 and await m.add("u", 1) and await m.update_with("u", str) == "1"
        assert await m.delete_many(["n", "u"]) == 2
        assert (await m.stats()).pending == 0 and await m.delete_many(["b"]) == 1
    opened: aio.AsyncMap = await aio.AsyncMap.open(path, "async")
    await opened.close()
    async with aio.DB(path) as db:
        await db.set("async", {"list": [1]})
        async with db.transaction() as t:
            await t.append(("async", "list"), 2)
            visits: int = await t.incr("async")
        plain: Any = await db.materialize(["async", "list"])
        report: graven.CheckReport = await db.run(DB.check)
        length: int = await db.run(lambda db, key: len(db[key]), "async")
        async with db.snapshot() as before:
            await db.delete("async")
            assert await before.contains("async") and await before.keys("async") == ["list"]
        assert plain == [1, 2] and report.ok and visits == await db.count("async") and length == 1


def main(path: Path) -> None:
    maps(path)
    asyncio.run(asynchronous(path))
    with DB(path, link_field="name", synchronous="off", busy_timeout=5.0) as db:
        containers(db)
        queries(db)
        transactions(db)
        housekeeping(db, path)
    assert db.closed
    try:
        db["person"]
    except graven.ClosedError as error:
        print(error, error.code)
    print(graven.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
