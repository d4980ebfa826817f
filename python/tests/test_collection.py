# SPDX-License-Identifier: MIT
"""Exactly what nothing reaches and no handle holds is gone, judged by a naive walk."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest

import graven

STEPS = 400


def exists(db: graven.DB, uid: str) -> bool:
    try:
        db.get_via_uid(uid)
    except KeyError:
        return False
    return True


def reachable(children: dict[str, Counter[str]], start: set[str]) -> set[str]:
    found: set[str] = set()
    todo = list(start)
    while todo:
        uid = todo.pop()
        if uid not in found:
            found.add(uid)
            todo.extend(child for child, times in children[uid].items() if times)
    return found


class Graph:
    """Random edits of a graph, and beside it who links whom and who is held."""

    def __init__(self, db: graven.DB, random_source: random.Random) -> None:
        self.db = db
        self.random = random_source
        self.children: dict[str, Counter[str]] = {db.uid: Counter()}
        self.held: dict[str, Any] = {}
        self.gone: set[str] = set()

    def alive(self) -> set[str]:
        return reachable(self.children, {self.db.uid, *self.held})

    def some(self) -> Any:
        uid = self.random.choice(sorted(self.alive()))
        return self.db if uid == self.db.uid else self.db.get_via_uid(uid)

    def links_of(self, node: Any) -> list[Any]:
        return list(node) if isinstance(node, graven.Dict) else list(range(len(node)))

    def target(self, node: Any, place: Any) -> str:
        uid = node[place].uid
        assert isinstance(uid, str)
        return uid

    def link(self, node: Any, child: Any) -> None:
        if isinstance(node, graven.Dict):
            key = self.random.choice("abcd")
            if key in node:
                self.children[node.uid][self.target(node, key)] -= 1
            node[key] = child
        else:
            node.insert(self.random.randrange(len(node) + 1), child)
        self.children[node.uid][child.uid] += 1

    def step(self) -> None:
        action = self.random.choice(["new", "new", "link", "link", "unlink", "unlink", "drop",
                                     "drop", "hold", "clear", "move"])  # fmt: skip
        if action == "new":
            child = graven.Dict(self.db) if self.random.random() < 0.7 else graven.List(self.db)
            self.children[child.uid] = Counter()
            self.held[child.uid] = child
            if self.random.random() < 0.8:
                self.link(self.some(), child)
            if self.random.random() < 0.7:
                del self.held[child.uid]
        elif action == "link":
            self.link(self.some(), self.some())
        elif action == "hold":
            node = self.some()
            if node is not self.db:
                self.held[node.uid] = node
        elif action == "drop":
            if self.held:
                del self.held[self.random.choice(sorted(self.held))]
        else:
            node = self.some()
            links = self.links_of(node)
            if not links:
                return
            place = self.random.choice(links)
            child_uid = self.target(node, place)
            if action == "clear":
                node.clear()
                self.children[node.uid] = Counter()
            elif action == "unlink":
                del node[place]
                self.children[node.uid][child_uid] -= 1
            else:  # taken out, it lives by its handle and can be linked elsewhere
                child = node.pop(place)
                self.children[node.uid][child_uid] -= 1
                self.link(self.some(), child)

    def verify(self) -> None:
        for counts in self.children.values():
            for uid in [uid for uid, times in counts.items() if times == 0]:
                del counts[uid]
        self.db.collect()
        alive = self.alive()
        for uid in list(self.children):
            assert exists(self.db, uid) == (uid in alive), uid
            if uid not in alive:
                del self.children[uid]
                self.gone.add(uid)
        # get_via_uid() made handles; they are gone again.
        assert not any(exists(self.db, uid) for uid in self.gone)
        parents: dict[str, dict[str, int]] = {uid: {} for uid in alive}
        for uid in alive:
            for child, times in self.children[uid].items():
                parents[child][uid] = times
        for uid in alive - {self.db.uid}:
            node = self.db.get_via_uid(uid)
            assert node.backrefs == parents[uid]
            assert node.refcount == len(parents[uid])


@pytest.mark.parametrize("round_", range(4))
def test_random_edits_with_handles_held(db: graven.DB, seed: int, round_: int) -> None:
    graph = Graph(db, random.Random(seed + round_))
    for step in range(STEPS // 4):
        graph.step()
        if step % 5 == 0:
            graph.verify()
    graph.verify()
    report = db.check()
    assert report.ok, report.problems
    graph.held.clear()
    graph.verify()
    assert db.check().nodes == len(graph.alive())


def test_what_is_cut_off_is_gone_in_the_same_step(db: graven.DB) -> None:
    db["a"] = {"b": {"c": [{}, {}]}}
    uids = [db["a"].uid, db["a"]["b"].uid, db["a"]["b"]["c"].uid, db["a"]["b"]["c"][0].uid]
    del db["a"]
    assert not any(exists(db, uid) for uid in uids)
    assert db.check().nodes == 1


def test_cycles_diamonds_and_self_links(db: graven.DB) -> None:
    db["a"] = {"left": {}, "right": {}}
    a = db["a"]
    a["left"]["bottom"] = {"top": a}
    a["right"]["bottom"] = a["left"]["bottom"]
    a["self"] = a
    db["keep"] = a["right"]
    del a
    uid = db["a"].uid
    del db["a"]
    assert exists(db, uid)  # keep -> bottom -> top
    assert db["keep"]["bottom"]["top"]["self"].uid == uid
    del db["keep"]
    assert not exists(db, uid)
    assert db.check().nodes == 1


def test_a_handle_keeps_its_node_readable_and_linkable(db: graven.DB) -> None:
    db["k"] = {"n": {"deep": [1]}}
    taken = db.pop("k")
    assert taken() == {"n": {"deep": [1]}}
    assert taken.refcount == 0
    assert db.why_alive(taken) == []
    taken["n"]["deep"].append(2)
    db["again"] = taken
    assert db["again"]() == {"n": {"deep": [1, 2]}}
    held = db["again"]["n"]
    del taken
    del db["again"]
    assert held() == {"deep": [1, 2]}
    uid = held.uid
    del held
    db.collect()
    assert not exists(db, uid)


def test_an_overwritten_value_held_by_a_handle(db: graven.DB) -> None:
    db["k"] = {"old": 1}
    old = db["k"]
    db["k"] = {"new": 1}
    assert old["old"] == 1
    db["list"] = [old]
    old["old"] = 2
    assert db["list"]() == [{"old": 2}]


def test_unlinked_nodes_live_as_long_as_their_handle(db: graven.DB) -> None:
    made = graven.Dict(db, {"child": {"x": 1}})
    uid, child = made.uid, made["child"].uid
    db.collect()
    assert made["child"]["x"] == 1
    assert db.check().held >= 1
    del made
    db.collect()
    assert not exists(db, uid)
    assert not exists(db, child)


def test_two_unlinked_parents_share_a_child(db: graven.DB) -> None:
    child = graven.Dict(db, {"x": 1})
    one = graven.List(db, [child])
    two = graven.List(db, [child])
    del child
    del one
    db.collect()
    assert two[0]["x"] == 1


def test_collected_soon_after_the_last_handle(file_db: graven.DB) -> None:
    file_db["k"] = {"x": 1}
    held = file_db["k"]
    uid = held.uid
    del file_db["k"]
    del held
    deadline = time.monotonic() + 10
    while exists(file_db, uid):
        assert time.monotonic() < deadline, "not collected by itself"
        time.sleep(0.1)


def test_handles_in_python_cycles(db: graven.DB) -> None:
    held: list[Any] = [db.setdefault("k", {})]
    held.append(held)
    uid = held[0].uid
    del db["k"]
    assert exists(db, uid)
    del held
    gc.collect()
    db.collect()
    assert not exists(db, uid)


def test_collected_by_another_process(path: str) -> None:
    with graven.DB(path) as db:
        db["k"] = {"x": 1}
        held = db["k"]
        program = f"import graven\nwith graven.DB({path!r}) as db: del db['k']"
        subprocess.run([sys.executable, "-c", program], check=True)
        for use in (
            lambda: held["x"],
            lambda: held.__setitem__("x", 2),
            lambda: len(held),
            lambda: list(held),
            lambda: held(),
            lambda: db.__setitem__("again", held),
            lambda: db.__setitem__("again", [1, {"deep": held}]),
            lambda: db.why_alive(held),
            lambda: held == {"x": 1},
        ):
            with pytest.raises(graven.CollectedError) as caught:
                use()
            assert isinstance(caught.value, ReferenceError)
        assert not held.exists()
        assert repr(held).startswith("@<collected ")
        assert db() == {}
        assert db.check().ok


def test_leftovers_of_a_killed_process_are_swept(path: str) -> None:
    with graven.DB(path) as db:
        db["k"] = {"x": [1]}
        program = (
            f"import graven, os, signal\n"
            f"db = graven.DB({path!r})\n"
            f"held = db.pop('k')\n"
            f"made = graven.Dict(db, {{'y': [1]}})\n"
            f"print(held.uid, made.uid, flush=True)\n"
            f"os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
        uids = done.stdout.decode().split()
        assert len(uids) == 2
        db.collect()
        assert not any(exists(db, uid) for uid in uids)
        report = db.check()
        assert report.ok
        assert report.nodes == 1


EDITOR = """
import random, sys, graven
path, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
source = random.Random(seed)
db = graven.DB(path, synchronous="off")
held = [db["shared"]]

def some():
    node = source.choice(held) if source.random() < 0.6 else db["shared"]
    for _ in range(source.randrange(5)):
        below = [each for each in node.values() if isinstance(each, graven.Dict)]
        if not below:
            break
        node = source.choice(below)
    return node

for _ in range(steps):
    try:
        action = source.randrange(6)
        key = source.choice("abc")
        if action == 0:
            some()[key] = {"new": {}}
        elif action == 1:
            some()[key] = some()
        elif action == 2:
            some().pop(key, None)
        elif action == 3:
            held.append(some().pop(key, None) or db["shared"])
        elif action == 4:
            held.append(some())
        elif len(held) > 6:
            held.pop(source.randrange(1, len(held)))
    except graven.CollectedError:
        held[:] = [db["shared"]]
db.close()
"""


def test_two_processes_editing_one_graph(path: str, seed: int) -> None:
    db = graven.DB(path)
    db["shared"] = {}
    editors = [
        subprocess.Popen([sys.executable, "-c", EDITOR, path, str(seed + at), "1500"])
        for at in range(2)
    ]
    while any(editor.poll() is None for editor in editors):
        report = db.check()
        assert report.ok, report.problems
        time.sleep(0.2)
    assert [editor.returncode for editor in editors] == [0, 0]
    db.collect()
    report = db.check()
    assert report.ok, report.problems
    seen: set[str] = set()
    todo: list[Any] = [db.root]
    while todo:
        node = todo.pop()
        if node.uid not in seen:
            seen.add(node.uid)
            todo.extend(each for each in node.values() if isinstance(each, graven.Dict))
    assert report.nodes == len(seen)
    db.close()


def test_a_chain_is_collected_without_recursion(db: graven.DB) -> None:
    length = 100_000 if os.environ.get("GRAVEN_FULL") else 20_000
    chain: dict[str, Any] = {}
    for _ in range(length):
        chain = {"next": chain}
    db["chain"] = chain
    del db["chain"]
    db.collect()
    assert db.check().nodes == 1


def test_why_alive_gives_a_path(db: graven.DB) -> None:
    db["a"] = {"b": [{"c": 1}]}
    node = db["a"]["b"][0]
    assert db.why_alive(node) == [db.uid, db["a"].uid, db["a"]["b"].uid, node.uid]
    assert db.why_alive(db) == [db.uid]
    with pytest.raises(TypeError):
        db.why_alive("x")


def test_identity(db: graven.DB) -> None:
    db["d"] = {}
    db["l"] = []
    assert db["d"].uid.startswith(db.prefix + ":D")
    assert db["l"].uid.startswith(db.prefix + ":L")
    assert db.get_via_uid(db["d"].uid).uid == db["d"].uid
    assert isinstance(db.get_via_uid(db["l"].uid), graven.List)
    assert db.get_via_uid(db.uid).uid == db.uid
    for wrong in ("", "x", "main:D01ARZ3NDEKTSV4RRFFQ69G5FAV", db["d"].uid[:-1], "\ud800"):
        with pytest.raises((KeyError, ValueError)):
            db.get_via_uid(wrong)
    with pytest.raises(TypeError):
        db.get_via_uid(5)
    db["e"] = {"d": db["d"], "dd": db["d"]}
    assert db["d"].refcount == 2
    assert db["d"].backrefs == {db.uid: 1, db["e"].uid: 2}
    assert db.refcount == 0
    assert db.backrefs == {}


def test_what_a_view_shows_is_not_linked(db: graven.DB) -> None:
    db["m"] = {"n": 1, "deep": [{"x": 1}]}
    t = db.transactor()
    with db.snapshot() as snapshot:
        db["m"]["n"] = 2
        seen, mine = snapshot["m"], t["m"]
        for refused in (
            lambda: db.__setitem__("old", seen),
            lambda: db.__setitem__("old", [{"deep": seen}]),
            lambda: db.update(old=seen),
            lambda: db["m"]["deep"].append(seen),
            lambda: db["m"].update(seen),
            lambda: graven.List(db, [seen]),
            lambda: db.setdefault("old", seen),
            lambda: t.__setitem__("old", seen),
            lambda: db.__setitem__("old", mine),
        ):
            with pytest.raises(graven.BadValueError, match="plain data"):
                refused()
        assert "old" not in db and db["m"]() == {"n": 2, "deep": [{"x": 1}]}
        db["old"] = seen()
        assert db["old"]() == {"n": 1, "deep": [{"x": 1}]}
    t.discard()
    t["mine"] = t["m"]
    t["live"] = db["m"]
    t.execute()
    assert db["mine"].uid == db["live"].uid == db["m"].uid
