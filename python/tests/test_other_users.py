# SPDX-License-Identifier: MIT
"""Other users of a store's files in the process that writes it: Python's sqlite3, plain copies.

What is acknowledged after them must be there for other processes, and after a kill.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import graven

# A program that writes, has its files used, writes again, and waits to be killed.
WRITER = """
import os, shutil, sqlite3, sys, tempfile
import graven

path = sys.argv[1]
FILES = ("", "-wal", "-shm", "-owners", "-changes")
db = graven.DB(path)
items = graven.Map(path, "items")

def copy():
    with tempfile.TemporaryDirectory() as folder:
        for suffix in FILES:
            if os.path.exists(path + suffix):
                shutil.copyfile(path + suffix, folder + "/copy" + suffix)

def read():
    other = sqlite3.connect(path)
    assert other.execute("SELECT count(*) FROM node").fetchone()[0] > 0
    other.close()

db["before"] = 1
items["before"] = 1
assert all(os.path.exists(path + suffix) for suffix in FILES[:3])
exec(sys.argv[2])
for i in range(40):
    db[f"k{i}"] = i
    items[f"k{i}"] = i
db.wait_durable()
print("written", flush=True)
sys.stdin.read()
"""

MEDDLINGS = {
    "read": "read()",
    "copy": "copy()",
    "copy while it is read": "o = sqlite3.connect(path); o.execute('SELECT * FROM node'); copy()",
    "many times": "for _ in range(20): read(); copy()",
    "write": "o = sqlite3.connect(path); o.execute('CREATE TABLE own (x)'); o.commit(); o.close()",
    "roll back": (
        "o = sqlite3.connect(path); o.execute('BEGIN IMMEDIATE');"
        "o.execute('CREATE TABLE own (x)'); o.rollback(); o.close()"
    ),
    "close one of two": "two = graven.DB(path); two['x'] = 1; read(); two.close(); read(); copy()",
}

NAMED = """
import sys, graven
db = graven.DB(sys.argv[1])
with db.transaction():
    db["n"] = 1
    print("written", flush=True)
    sys.stdin.read()
"""


class Program:
    """Runs until it has written, and is killed at the end."""

    def __init__(self, source: str, *arguments: str) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", source, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> int:
        assert self.child.stdout is not None
        assert self.child.stdout.readline() == "written\n"
        return self.child.pid

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        self.child.communicate()


def require_all(path: str) -> None:
    with graven.DB(path) as db, graven.Map(path, "items") as items:
        assert [db[f"k{i}"] for i in range(40)] == list(range(40))
        assert [items[f"k{i}"] for i in range(40)] == list(range(40))
        assert db["before"] == items["before"] == 1
        report = db.check()
        assert report.ok, report.problems


@pytest.mark.parametrize("meddle", MEDDLINGS.values(), ids=MEDDLINGS.keys())
def test_no_write_is_lost_beside_other_users_of_the_files(path: str, meddle: str) -> None:
    with Program(WRITER, path, meddle):
        require_all(path)  # another process, which opens and closes
        require_all(path)
    require_all(path)


def test_who_writes_is_named(path: str) -> None:
    graven.DB(path).close()
    with Program(NAMED, path) as pid, graven.DB(path, busy_timeout=0.05) as db:
        with pytest.raises(graven.BusyError, match=f"is being written by process {pid} "):
            db["n"] = 2
    with graven.DB(path) as db:
        db["n"] = 3


INTERPRETERS = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

def attempt():
    one = interpreters.create()
    interpreters.run_string(one, f"import sys; sys.path[:] = {sys.path!r}")
    interpreters.run_string(one, TRY)
    interpreters.destroy(one)

TRY = '''
try:
    import graven
except ImportError as error:
    print("refused:", error, flush=True)
'''
attempt()
import graven
attempt()
db = graven.DB("memory://")
db["a"] = {"b": 1}
print(db["a"]["b"])
"""


def test_a_subinterpreter_is_refused_and_the_main_one_works() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETERS],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and lines[2] == "1", done.stdout
    for line in lines[:2]:
        assert line.startswith("refused: ") and "subinterpreter" in line


def test_copies_of_the_library_fit_into_one_process(tmp_path: Path) -> None:
    program = (
        "import ctypes, shutil, sys, graven\n"
        "for i in range(8):\n"
        "    copy = shutil.copy(graven._graven.__file__, f'{sys.argv[1]}/copy{i}.so')\n"
        "    ctypes.CDLL(copy)\n"
        "db = graven.DB(sys.argv[1] + '/state.db')\n"
        "print(db.incr('n'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\n"
