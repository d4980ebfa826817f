# SPDX-License-Identifier: MIT
"""What handles look like when printed."""

from __future__ import annotations

import pytest

import graven


def test_children_are_never_expanded(db: graven.DB) -> None:
    db["p"] = {"id": "123", "name": "Ada", "tags": ["a", "b"], "n": None}
    p = db["p"]
    shown = repr(p)
    assert shown == f"@{{'id': '123', 'name': 'Ada', 'tags': {p['tags'].uid}, 'n': None}}"
    assert str(p) == shown
    assert repr(p["tags"]) == "@['a', 'b']"
    db["l"] = [p, 1, [2]]
    assert repr(db["l"]) == f"@[{p.uid}, 1, {db['l'][2].uid}]"
    assert repr(db) == f"@{{'p': {p.uid}, 'l': {db['l'].uid}}}"
    assert repr(graven.Dict(db)) == "@{}"
    assert repr(graven.List(db)) == "@[]"


def test_link_field(path: str) -> None:
    with graven.DB(path, link_field="id") as db:
        db["task"] = {"owner": {"id": "alice-42"}, "status": "waiting", "by": {"no": "id"}}
        by = db["task"]["by"].uid
        assert repr(db["task"]) == f"@{{'owner': alice-42, 'status': 'waiting', 'by': {by}}}"
        db["people"] = {"alice": {"id": "alice"}, "bob": {"id": "BOB"}}
        assert repr(db["people"]) == "@{'alice': *, 'bob': BOB}"


def test_text_is_not_mangled(db: graven.DB) -> None:
    db["d"] = {"a": "##hi##", "b": "####", "c": "it's", "d": "\n\0"}
    for text in ("##hi##", "####", "it's", "\n\0"):
        assert repr(text) in repr(db["d"])


def test_cycles(db: graven.DB) -> None:
    db["a"] = {}
    db["a"]["me"] = db["a"]
    assert repr(db["a"]) == f"@{{'me': {db['a'].uid}}}"


def test_what_is_gone_still_has_a_repr(path: str) -> None:
    db = graven.DB(path)
    db["d"] = {"x": 1}
    handle = db["d"]
    db.close()
    assert repr(handle) == "@<closed>"
    assert repr(db) == "@<closed>"
    with pytest.raises(graven.ClosedError):
        handle["x"]


def test_classes_say_where_they_come_from() -> None:
    assert repr(graven.Dict) == "<class 'graven.Dict'>"
    assert repr(graven.DB) == "<class 'graven.DB'>"
    assert repr(graven.WatchError) == "<class 'graven.WatchError'>"
