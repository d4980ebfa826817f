# SPDX-License-Identifier: MIT
"""Several processes and threads on one file; fork and spawn.

GRAVEN_REPEATS sets how often each of two processes increments, appends and so on.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

import graven

REPEATS = int(os.environ.get("GRAVEN_REPEATS", "20000"))


def run(program: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)


def run_twice(body: str, path: str, repeats: int) -> None:
    program = f"""
import sys, graven
db = graven.DB(sys.argv[1])
t = db.transactor()
name = sys.argv[2]
def step():
    value = t["shared"]["n"]
    t.multi()
    t["shared"]["n"] = value + 1
for at in range({repeats}):
    {body}
db.close()
"""
    workers = [
        subprocess.Popen([sys.executable, "-c", program, path, name]) for name in ("one", "two")
    ]
    assert [worker.wait() for worker in workers] == [0, 0]


def test_no_increment_is_lost(file_db: graven.DB, path: str) -> None:
    run_twice("db.incr('n')", path, REPEATS)
    assert file_db.count("n") == 2 * REPEATS


def test_no_append_is_lost(file_db: graven.DB, path: str) -> None:
    file_db["l"] = []
    run_twice("db['l'].append((name, at))", path, REPEATS)
    items = file_db["l"]()
    for name in ("one", "two"):
        assert [at for who, at in items if who == name] == list(range(REPEATS))
    assert len(items) == 2 * REPEATS


def test_no_transacted_increment_is_lost(file_db: graven.DB, path: str) -> None:
    file_db["shared"] = {"n": 0}
    run_twice("t.transact(step)", path, REPEATS)
    assert file_db["shared"]["n"] == 2 * REPEATS


def test_no_update_with_is_lost(file_db: graven.DB, path: str) -> None:
    file_db["shared"] = {"n": 0}
    repeats = min(REPEATS, 3000)
    run_twice("db['shared'].update_with('n', lambda n: n + 1)", path, repeats)
    assert file_db["shared"]["n"] == 2 * repeats


def test_a_node_linked_and_unlinked_by_both(file_db: graven.DB, path: str) -> None:
    file_db["node"] = {"alive": True}
    repeats = min(REPEATS, 2000)
    run_twice("db[name] = db['node']; del db[name]", path, repeats)
    assert file_db() == {"node": {"alive": True}}


def test_four_threads(file_db: graven.DB) -> None:
    file_db["l"] = []
    file_db["shared"] = {"n": 0}
    repeats = 500
    failures: list[BaseException] = []

    def work(name: int) -> None:
        try:
            t = file_db.transactor()

            def step() -> None:
                t["shared"]["n"] = t["shared"]["n"] + 1

            for at in range(repeats):
                file_db["l"].append((name, at))
                file_db.incr("c")
                if at % 5 == 0:
                    t.transact(step)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert file_db.count("c") == 4 * repeats
    assert file_db["shared"]["n"] == 4 * repeats // 5
    items = file_db["l"]()
    for name in range(4):
        assert [at for who, at in items if who == name] == list(range(repeats))


def test_what_one_process_writes_the_other_sees_at_once(file_db: graven.DB, path: str) -> None:
    file_db["d"] = {"n": 0}
    d = file_db["d"]
    for value in range(1, 4):
        run(f"import graven\nwith graven.DB({path!r}) as db: db['d']['n'] = {value}")
        assert d["n"] == value


# fork and spawn


def in_child(action: Any) -> None:
    """Runs `action` in a fork; it must return True there."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if action() else 2
        except BaseException as error:
            print("in the child:", repr(error), flush=True)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_forked_child_reads_and_writes(file_db: graven.DB) -> None:
    file_db["d"] = {"n": 1}
    handle = file_db["d"]

    def child() -> bool:
        assert handle["n"] == 1
        handle["n"] = 2
        file_db["child"] = [1, 2]
        file_db.incr("c")
        with file_db.transaction():
            file_db["more"] = {}
        return file_db.check().ok

    in_child(child)
    assert file_db() == {"d": {"n": 2}, "child": [1, 2], "more": {}}
    handle["n"] = 3
    assert file_db["d"]["n"] == 3
    assert file_db.count("c") == 1


def test_parent_and_child_write_at_once(file_db: graven.DB) -> None:
    child = os.fork()
    for _ in range(300):
        file_db.incr("n")
    if child == 0:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert file_db.count("n") == 600


def test_a_fork_inside_a_transaction_stays_the_parents(file_db: graven.DB) -> None:
    with file_db.transaction():
        file_db["a"] = 1

        def child() -> bool:
            with pytest.raises(graven.UsageError, match="parent"):
                file_db["a"]
            with pytest.raises(graven.UsageError, match="parent"):
                file_db["c"] = 3
            return True

        in_child(child)
        file_db["b"] = 2
    assert file_db() == {"a": 1, "b": 2}


def test_a_child_that_leaves_the_parents_transaction_can_go_on(file_db: graven.DB) -> None:
    child = None
    try:
        with file_db.transaction():
            file_db["a"] = 1
            child = os.fork()
            if child == 0:
                raise InterruptedError  # leaves the block, which rolls back nothing of the parent's
            file_db["b"] = 2
    except InterruptedError:
        status = 1
        try:
            file_db["from the child"] = 3
            status = 0
        finally:
            os._exit(status)
    assert child is not None
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert file_db() == {"a": 1, "b": 2, "from the child": 3}


def test_forks_while_other_threads_work(file_db: graven.DB) -> None:
    stop = threading.Event()
    file_db["l"] = []

    def work() -> None:
        while not stop.is_set():
            file_db["l"].append(1)
            file_db["l"]()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            in_child(lambda: file_db.incr("n") > 0 and len(file_db["l"]) >= 0)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert file_db.count("n") == 10


def worker(path: str, number: int) -> int:
    with graven.DB(path) as db:
        db["l"].append(number)
        return db.incr("n")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(file_db: graven.DB, path: str, method: str) -> None:
    file_db["l"] = []
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        results = pool.starmap(worker, [(path, number) for number in range(8)])
    assert sorted(results) == list(range(1, 9))
    assert sorted(file_db["l"]) == list(range(8))


def test_expressions_are_the_old_or_the_new_value(path: str) -> None:
    with graven.DB(path) as db:
        db["t"] = {"l": [0, 0, {"x": 0}]}
        db["rows"] = [{"n": 0}, {"n": 0}]
        program = """
import sys, graven
with graven.DB(sys.argv[1]) as db:
    for n in range(1, 3001):
        db["t"] = {"l": [n, n, {"x": n}]}
        db["rows"] = [{"n": n}, {"n": n}]
"""
        writer = subprocess.Popen([sys.executable, "-c", program, path])
        last = 0
        while writer.poll() is None:
            for _ in range(100):
                one, two = (row["n"] for row in db["rows"]())
                assert one == two >= last
                last = one
                assert db["t"]["l"][1] >= 0
                assert db["t"]["l"][-1]["x"] >= 0
                assert len(db["t"]["l"]) == 3 and "l" in db["t"]
                db["mine"] = db["t"]
        assert writer.returncode == 0
        assert db["t"]["l"][1] == 3000
        assert db.check().ok


def test_a_handle_kept_longer_says_which_node_is_gone(path: str) -> None:
    with graven.DB(path) as db:
        db["k"] = {"x": 1}
        held = db["k"]
        assert held["x"] == 1
        run("import sys, graven\nwith graven.DB(sys.argv[1]) as db: db['k'] = {'x': 2}", path)
        with pytest.raises(graven.CollectedError, match=held.uid):
            held()
        assert db["k"]["x"] == 2
