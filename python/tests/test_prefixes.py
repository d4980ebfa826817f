# SPDX-License-Identifier: MIT
"""Independent keyspaces in one store."""

from __future__ import annotations

import threading

import pytest

import graven


def test_prefixes_are_apart(path: str) -> None:
    with graven.DB(path, prefix="app1") as one, graven.DB(path, prefix="app2") as two:
        one["x"] = {"value": 1}
        two["x"] = {"value": 2}
        assert one["x"]["value"] == 1
        assert two["x"]["value"] == 2
        assert one.uid != two.uid
        with pytest.raises((KeyError, ValueError)):
            two.get_via_uid(one["x"].uid)


def test_the_default_is_main_whatever_others_opened(path: str) -> None:
    with graven.DB(path) as db:
        assert db.prefix == "main"
        db["where"] = "main"
    with graven.DB(path, prefix="other") as db:
        db["where"] = "other"
        db.set_prefix("third")
    with graven.DB(path) as db, graven.DB(path, read_only=True) as reader:
        assert db["where"] == reader["where"] == "main"
        assert set(db.prefixes()) == {"main", "other", "third"}


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_without_main_names_the_prefixes_it_has(path: str, read_only: bool) -> None:
    with graven.DB(path, prefix="shop") as db:
        db["x"] = 1
    with pytest.raises(graven.KeyNotFound, match="no prefix 'main'; it has 'shop'"):
        graven.DB(path, read_only=read_only)
    with graven.DB(path, prefix="shop") as db:
        assert db.prefixes() == ["shop"]  # nothing was made
    with graven.DB(path, prefix="main") as db:  # who names it gets it
        assert db() == {}
    with graven.DB(path, read_only=read_only) as db:
        assert db.prefix == "main"


def test_the_message_names_a_few_of_many_prefixes(path: str) -> None:
    with graven.DB(path, prefix="p0") as db:
        for n in range(1, 9):
            db.set_prefix(f"p{n}")
    with pytest.raises(graven.KeyNotFound, match="'p0', 'p1', 'p2', 'p3', 'p4' and others"):
        graven.DB(path)


def test_main_is_made_beside_maps(path: str) -> None:
    with graven.Map(path, "prices") as prices:
        prices["a"] = 1
    with pytest.raises(graven.KeyNotFound, match="has no prefix 'main'"):
        graven.DB(path, read_only=True)
    with graven.DB(path) as db:
        assert db() == {}


def test_opening_a_prefix_that_is_there_writes_nothing(path: str) -> None:
    with graven.DB(path) as db, graven.DB(path, prefix="other", busy_timeout=0.1):
        entered, leave = threading.Event(), threading.Event()

        def write() -> None:
            with db.transaction():
                db["x"] = 1
                entered.set()
                leave.wait()

        writer = threading.Thread(target=write)
        writer.start()
        entered.wait()
        try:
            for prefix in ("other", None, "main", "other"):
                with graven.DB(path, prefix=prefix, busy_timeout=0.1) as opened:
                    assert opened.prefix == (prefix or "main")
                    with opened.with_prefix("other") as other:
                        assert other.prefix == "other"
            with pytest.raises(graven.BusyError):
                graven.DB(path, prefix="a new one", busy_timeout=0.1)
        finally:
            leave.set()
            writer.join()


def test_new_prefix_in_a_store_without_main(path: str) -> None:
    with graven.DB(path, prefix="shop") as db:
        db["x"] = 1
    with graven.DB(path, new_prefix=True) as db:
        assert db() == {}
        assert set(db.prefixes()) == {"shop", db.prefix}


@pytest.mark.parametrize("prefix", [None, "shop", "a:b"])
def test_new_prefix_makes_nothing_else(path: str, prefix: str | None) -> None:
    with graven.DB(path, prefix, new_prefix=True) as db:
        assert db.prefixes() == [db.prefix]
        with db.with_prefix("shop") as other:
            assert other.prefix == "shop"
    with graven.DB(f"sqlite:///{path}?prefix=another", new_prefix=True) as db:
        assert "another" not in db.prefixes()
        assert db.prefix not in ("another", "main", "shop")


def test_set_prefix_moves_the_root_and_leaves_handles(file_db: graven.DB) -> None:
    db = file_db
    db["x"] = {"n": 1}
    handle, keys = db["x"], db.keys()
    db.set_prefix("second")
    assert db.get_prefix() == "second"
    assert db() == {}
    assert list(keys) == []
    db["y"] = 2
    handle["n"] = 5
    db.set_prefix("main")
    assert db() == {"x": {"n": 5}}
    with pytest.raises(graven.BadValueError):
        db.set_prefix("second", require_empty=True)
    assert db.prefix == "main"
    db.set_prefix("third", require_empty=True)
    db.close()
    with pytest.raises(graven.ClosedError):
        handle["n"]


def test_new_prefixes(path: str) -> None:
    with graven.DB(path) as db:
        fresh = db.new_prefix()
        assert isinstance(fresh, str)
        assert not db.prefix_in_use(fresh)
        with db.with_prefix(fresh) as other:
            assert type(other) is graven.DB
            other["x"] = 1
        assert db.prefix_in_use(fresh)
        assert set(db.prefixes()) == {"main", fresh}
        assert db.new_prefix() != fresh
    with graven.DB(path, new_prefix=True) as db:
        assert db.prefix not in ("main", fresh)
        assert db() == {}


def test_deleting_exactly_one(path: str) -> None:
    with graven.DB(path) as db:
        for name in ("a", "ab", "a*", "a_", "%"):
            with db.with_prefix(name) as other:
                other["x"] = {"y": [1]}
                other.incr("c")
        assert db.delete_prefix_immediately("a*") == 3
        assert not db.prefix_in_use("a*")
        assert set(db.prefixes()) >= {"a", "ab", "a_", "%"}
        for name in ("a", "ab", "a_", "%"):
            with db.with_prefix(name) as other:
                assert other() == {"x": {"y": [1]}}
                assert other.count("c") == 1
        assert db.delete_prefix_immediately("never was") == 0
        assert db.check().ok


def test_deleting_in_batches(path: str) -> None:
    with graven.DB(path) as db:
        with db.with_prefix("big") as big:
            big["l"] = [{"n": n} for n in range(1000)]
        steps = 0
        while db.delete_prefix_batch("big", count=100):
            steps += 1
            assert not db.prefix_in_use("big")
        assert steps >= 5
        assert db.check().ok
        with db.with_prefix("big") as big:
            assert big() == {}


def test_deleting_ones_own_prefix(path: str) -> None:
    with graven.DB(path, prefix="mine") as db:
        db["x"] = {"y": 1}
        handle = db["x"]
        db.incr("c")
        db.delete_prefix_immediately("mine")
        assert db() == {}
        assert db.count("c") == 0
        assert handle["y"] == 1  # as after any unlinking, a handle keeps its node
        db["new"] = handle
        assert db() == {"new": {"y": 1}}
        db["new"] = 1
        del handle
        db.collect()
        assert db.check().nodes == 1
    with graven.DB(path, prefix="mine") as db:
        assert db() == {"new": 1}
    with pytest.raises(graven.KeyNotFound, match="'mine'"):
        graven.DB(path)


@pytest.mark.parametrize("name", ["a:b", ":", "x\0", "x\n", "n" * 201, "é" * 101])
def test_bad_names(path: str, name: str) -> None:
    with graven.DB(path) as db:
        with pytest.raises(graven.BadValueError):
            db.set_prefix(name)
        with pytest.raises(graven.BadValueError):
            graven.DB(path, prefix=name)
        assert db.prefix == "main"
        assert db.prefixes() == ["main"]


@pytest.mark.parametrize("name", ["a", "with space", "n" * 200, "é" * 100, "*", "%", "🐍", "1"])
def test_good_names(path: str, name: str) -> None:
    with graven.DB(path, prefix=name) as db:
        db["x"] = {"y": {}}
        assert db["x"].uid.startswith(name + ":D")
        assert db.get_via_uid(db["x"]["y"].uid).uid == db["x"]["y"].uid
    with graven.DB(path, prefix=name, read_only=True) as db:
        assert db() == {"x": {"y": {}}}


def test_what_other_prefixes_gave_up_is_not_counted(path: str) -> None:
    with graven.DB(path) as db:
        db.with_prefix("p2")["a"] = {"x": 1}
        db["tmp"] = {"y": [1, 2]}
        held = db.pop("tmp")
        del held
        assert db.delete_prefix_immediately("p2") == 2
        assert db.check().ok
