# SPDX-License-Identifier: MIT
"""Independent keyspaces in one store."""

from __future__ import annotations

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


def test_the_last_prefix_is_remembered(path: str) -> None:
    with graven.DB(path) as db:
        assert db.prefix == "main"
        db["where"] = "main"
    with graven.DB(path, prefix="other") as db:
        db["where"] = "other"
    with graven.DB(path) as db:
        assert db["where"] == "other"
        db.set_prefix("main")
        assert db["where"] == "main"
    with graven.DB(path) as db:
        assert db["where"] == "main"


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
    with graven.DB(path) as db:
        assert db() == {"new": 1}


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
    with graven.DB(path) as db:
        assert db.prefix == name
