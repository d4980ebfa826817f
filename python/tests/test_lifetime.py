# SPDX-License-Identifier: MIT
"""Opening, closing, forgetting, and who waits for whom."""

from __future__ import annotations

import asyncio
import gc
import os
import pathlib
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import warnings

import pytest

import graven


def test_close_is_idempotent_and_final(db: graven.DB) -> None:
    db["d"] = {"x": 1}
    db["l"] = [1]
    d, items = db["d"], db["l"]
    keys, iterator, t, snapshot = d.keys(), iter(d), db.transactor(), db.snapshot()
    assert not db.closed
    db.close()
    db.close()
    db.shutdown()
    assert db.closed
    for use in (
        lambda: db["d"],
        lambda: db.__setitem__("x", 1),
        lambda: len(db),
        lambda: list(db),
        lambda: db(),
        lambda: db.incr("c"),
        lambda: db.count("c"),
        lambda: db.check(),
        lambda: db.collect(),
        lambda: db.maintenance(),
        lambda: db.snapshot(),
        lambda: db.transactor()["x"],
        lambda: db.transaction().__enter__(),
        lambda: db.prefixes(),
        lambda: db.get_via_uid(d.uid),
        lambda: graven.Dict(db),
        lambda: d["x"],
        lambda: d.refcount,
        lambda: d.update(x=2),
        lambda: "x" in d,
        lambda: d == {"x": 1},
        lambda: len(keys),
        lambda: next(iterator),
        lambda: items[0],
        lambda: items.append(1),
        lambda: items.sort(),
        lambda: 1 in items,
        lambda: t["d"],
        lambda: snapshot["d"],
    ):
        with pytest.raises(graven.ClosedError) as caught:
            use()
        assert isinstance(caught.value, ValueError)


def test_reopening_at_once(path: str) -> None:
    for n in range(20):
        with graven.DB(path) as db:
            assert db.count("opened") == n
            db.incr("opened")
    with graven.DB(path) as one, graven.DB(path) as two:
        one["a"] = 1
        assert two["a"] == 1
    with pytest.raises(graven.ClosedError):
        one["a"]


def test_a_new_file_after_deleting_the_old(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state.db"
    with graven.DB(path) as db:
        db["old"] = 1
    for name in tmp_path.iterdir():
        name.unlink()
    with graven.DB(path) as db:
        assert db() == {}


def test_relative_paths_are_those_of_opening(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    one = graven.DB("state.db")
    one["where"] = "a"
    monkeypatch.chdir(tmp_path / "b")
    with graven.DB("sqlite:///state.db") as two:
        two["where"] = "b"
        assert one["where"] == "a"
    one["more"] = 1
    one.close()
    with graven.DB(f"sqlite:///{tmp_path}/a/state.db") as again:
        assert again() == {"where": "a", "more": 1}


def test_forgotten_databases_warn(path: str) -> None:
    db = graven.DB(path)
    with pytest.warns(ResourceWarning, match="unclosed database"):
        del db
        gc.collect()
    db = graven.DB(path)
    db["d"] = {"x": 1}
    kept = db["d"]
    with pytest.warns(ResourceWarning):
        del db
        gc.collect()
    assert kept["x"] == 1  # a handle keeps the store in use
    del kept
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with graven.DB(path) as db:
            assert db["d"]["x"] == 1
        del db
        gc.collect()
        with pytest.raises(graven.UsageError):
            graven.DB("nonsense://x")
        gc.collect()


def test_leaving_the_interpreter_without_closing(path: str) -> None:
    program = (
        f"import graven, threading, time\n"
        f"db = graven.DB({path!r}); db['a'] = {{'n': 1}}; held = db.pop('a')\n"
        f"t = db.transactor(); t['x'] = 1; it = iter(db); s = db.snapshot()\n"
        f"def spin():\n"
        f"    while True: db.incr('n')\n"
        f"threading.Thread(target=spin, daemon=True).start(); time.sleep(0.05)\n"
    )
    for _ in range(8):  # the thread is somewhere else each time
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stderr == b""
    with graven.DB(path) as db:
        db.collect()
        report = db.check()
        assert report.ok, report.problems
        assert db() == {}


def test_options(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "o.db"
    with graven.DB(path, "app", "id", synchronous="full", busy_timeout=1) as db:
        assert db.prefix == db.get_prefix() == "app"
        assert not db.read_only
        assert str(path) in db.name
        db["x"] = 1
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with graven.DB(path, "app", read_only=True) as db:
        assert db.read_only
        assert db["x"] == 1
        with pytest.raises(graven.UsageError):
            db["x"] = 2
        with pytest.raises(graven.UsageError):
            db.incr("c")
        assert db.size_on_disk() > 0
    with graven.DB(f"sqlite:///{path}?mode=ro&prefix=app") as db:
        with pytest.raises(graven.UsageError):
            db["x"] = 2
    for wrong in (
        {"synchronous": "sometimes"},
        {"busy_timeout": -1},
        {"transaction_limit": float("nan")},
    ):
        with pytest.raises(graven.UsageError):
            graven.DB(path, **wrong)
    for wrong in (5, ["x.db"]):
        with pytest.raises(TypeError):
            graven.DB(wrong)


def test_files_that_are_not_graven_s(tmp_path: pathlib.Path) -> None:
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("create table t(x)")
    connection.close()
    text = tmp_path / "text.txt"
    text.write_text("not a database at all, " * 100)
    for path in (foreign, text):
        before = path.read_bytes()
        with pytest.raises(graven.ForeignFileError) as caught:
            graven.DB(path)
        assert str(path) in str(caught.value)
        assert isinstance(caught.value, ValueError)
        assert path.read_bytes() == before
    with pytest.raises(graven.Error):
        graven.DB(tmp_path)
    with pytest.raises(graven.UnavailableError) as unavailable:
        graven.DB(tmp_path / "missing" / "x.db")
    assert isinstance(unavailable.value, OSError)
    with pytest.raises(graven.Error):
        graven.DB(tmp_path / "missing.db", read_only=True)
    assert not (tmp_path / "missing.db").exists()


# The GIL and threads


def test_others_go_on_while_one_waits_for_the_lock(file_db: graven.DB, path: str) -> None:
    program = (
        f"import graven, sys\n"
        f"with graven.DB({path!r}) as db, db.transaction():\n"
        f"    db['x'] = 1; print('in', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    holder.stdout.readline()
    done = threading.Event()

    def write() -> None:
        file_db["y"] = 1
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        deadline = time.monotonic() + 1
        turns = 0
        while time.monotonic() < deadline:
            turns += 1
        assert turns > 1000  # with the GIL held by the waiting writer it would be none
        assert not done.is_set()
        assert "x" not in file_db
    finally:
        holder.stdin.close()
        writer.join()
        holder.wait()
    assert file_db() == {"x": 1, "y": 1}


def test_dropping_the_last_owner_while_others_hold_the_lane(path: str) -> None:
    with graven.DB(path) as db:
        for _ in range(20):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                other = graven.DB(path)
                other["d"] = {"x": [1]}
                held = other.pop("d")
                started = threading.Event()

                def transact() -> None:
                    with db.transaction():
                        started.set()
                        db["n"] = sum(range(10_000))

                thread = threading.Thread(target=transact)
                thread.start()
                started.wait()
                del other, held
                thread.join(timeout=20)
                assert not thread.is_alive()
        db.collect()
        assert db.check().ok


def test_one_iterator_in_two_threads(db: graven.DB) -> None:
    db["l"] = list(range(3000))
    db["d"] = {str(n): n for n in range(3000)}
    for iterator, whole in (
        (iter(db["l"]), set(range(3000))),
        (iter(db["d"].values()), set(range(3000))),
    ):
        seen: list[int] = []

        def drain(source: object = iterator, into: list[int] = seen) -> None:
            while True:
                try:
                    into.append(next(source))  # type: ignore[call-overload]
                except StopIteration:
                    return
                except graven.UsageError:
                    time.sleep(0)

        threads = [threading.Thread(target=drain) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(seen) == whole
        assert len(seen) == 3000


def test_asyncio(db: graven.DB) -> None:
    async def main() -> None:
        db["a"] = [1]
        await db.maintenance_async()
        await asyncio.gather(*(asyncio.to_thread(db["a"].append, number) for number in range(10)))

    asyncio.run(main())
    assert sorted(db["a"]()) == sorted([1, *range(10)])


def test_housekeeping(db: graven.DB) -> None:
    db["a"] = {"x": [1, {}]}
    db.maintenance()
    assert db.collect() >= 0
    report = db.check()
    assert report.ok
    assert report.problems == []
    assert report.nodes == 4
    assert report.links == 3
    assert report.held == 0
    assert "ok=True" in repr(report)
    seen: list[tuple[int, int]] = []
    db.check(lambda done, total: seen.append((done, total)))
    assert all(isinstance(done, int) and isinstance(total, int) for done, total in seen)

    def fails(done: int, total: int) -> None:
        raise ZeroDivisionError

    if seen:
        with pytest.raises(ZeroDivisionError):
            db.check(fails)
    db["b"] = 1


def test_memory_stores_are_apart() -> None:
    with graven.DB("memory://") as one, graven.DB("memory://") as two:
        one["a"] = 1
        assert two() == {}


def test_error_tree() -> None:
    twins = {
        "UsageError": RuntimeError, "WrongTypeError": TypeError, "BadValueError": ValueError,
        "KeyNotFound": KeyError, "IndexOutOfRange": IndexError, "ConflictError": RuntimeError,
        "WatchError": graven.ConflictError, "BusyError": TimeoutError,
        "UnavailableError": OSError, "CommitUnknownError": OSError,
        "CorruptionError": Exception, "CollectedError": ReferenceError,
        "ClosedError": ValueError, "ForeignFileError": ValueError, "LimitError": ValueError,
        "TransactionExpiredError": TimeoutError,
    }  # fmt: skip
    for name, twin in twins.items():
        error = getattr(graven, name)
        assert issubclass(error, graven.Error)
        assert issubclass(error, twin)
        assert isinstance(error.code, str)
        assert name in graven.__all__
    codes = [getattr(graven, name).code for name in twins if name != "WatchError"]
    assert len(set(codes)) == len(codes)


def test_version() -> None:
    root = pathlib.Path(__file__).resolve().parents[2]
    assert graven.__version__ == (root / "VERSION").read_text().strip()


def test_handles_whose_memory_is_used_again_are_of_their_own_nodes(db: graven.DB) -> None:
    db["dicts"] = {str(i): {"i": i} for i in range(300)}
    db["lists"] = [[i] for i in range(300)]
    kept = []
    for i in range(300):
        dict_handle, list_handle = db["dicts"][str(i)], db["lists"][i]
        assert dict_handle["i"] == list_handle[0] == i
        if i % 7 == 0:
            kept.append((i, dict_handle, list_handle))
    for i, dict_handle, list_handle in kept:
        assert dict_handle["i"] == list_handle[0] == i
    # What has a handle stays when it is unlinked, what had one does not.
    gone = [db["dicts"][str(i)].uid for i in range(1, 7)]
    del db["dicts"], dict_handle, list_handle
    for i, dict_handle, _ in kept:
        assert dict_handle["i"] == i
    db.collect()
    for uid in gone:
        with pytest.raises(graven.KeyNotFound):
            db.get_via_uid(uid)
