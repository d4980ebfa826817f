# SPDX-License-Identifier: MIT
"""What other programs do to the files of a store that is in use, at random.

Two processes write a graph, a write-through map and a lazy map each, and read each other's. A third
party copies, renames, links, deletes and overwrites their files, opens them with another SQLite,
and kills the processes. Afterwards every change that was acknowledged is there, or what was done
was refused with an error; nothing is acknowledged that began after the store's files had gone; a
file that was put in the store's place is exactly what it was; and `check` is clean.

GRAVEN_MEDDLINGS sets how many (120), GRAVEN_SEED repeats one run's choices.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import graven

MEDDLINGS = int(os.environ.get("GRAVEN_MEDDLINGS", "120"))
WORKER = str(Path(__file__).parent / "meddled.py")
SUFFIXES = ("", "-wal", "-shm", "-owners", "-changes")
KEYS = "gtml"


class Worker:
    """One of the processes, and what it said."""

    def __init__(self, path: str, number: int) -> None:
        self.number = number
        self.acknowledged: dict[str, int] = collections.defaultdict(int)
        self.counted = 0  # increments acknowledged
        self.acts: list[tuple[int, str]] = []  # (begun, key), since the last clear()
        self.errors: list[str] = []
        self.never: list[str] = []
        self._answers: list[str] = []
        self._said = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, WORKER, path, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            if not raw.endswith(b"\n"):
                break
            kind, _, rest = raw.decode().rstrip("\n").partition(" ")
            with self._said:
                if kind == "A":
                    begun, key, n = rest.split()
                    self.acts.append((int(begun), key))
                    if key == "c":
                        self.counted += 1
                    elif key in KEYS:
                        self.acknowledged[key] = int(n)
                elif kind == "E":
                    self.errors.append(rest.partition(" ")[2])
                elif kind == "X":
                    self.never.append(rest)
                else:
                    self._answers.append(kind)
                self._said.notify_all()
        with self._said:
            self._answers.append("gone")
            self._said.notify_all()

    def tell(self, command: str) -> None:
        """Returns when it is done."""
        assert self._process.stdin is not None
        with self._said:
            self._answers.clear()
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()
        self._until(lambda: command in self._answers)

    def _until(self, done: Callable[[], bool]) -> None:
        with self._said:
            assert self._said.wait_for(lambda: done() or "gone" in self._answers, 60), self.errors
            status = None if done() else self._process.wait(10)
            assert done(), f"worker {self.number} ended ({status}): {self.never} {self.errors}"

    def wait_for_acts(self, count: int) -> None:
        self._until(lambda: len(self.acts) >= count or bool(self.errors))

    def wait_for_error(self) -> None:
        self._until(lambda: bool(self.errors))

    def clear(self) -> None:
        with self._said:
            self.acts.clear()
            self.errors.clear()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()

    def end(self) -> None:
        self.tell("end")
        self._process.wait()
        self._thread.join()


class Meddler:
    def __init__(self, folder: Path, rnd: random.Random) -> None:
        self.rnd = rnd
        self.home = folder / "home"
        self.home.mkdir()
        self.path = str(self.home / "state.db")
        self.other = str(folder / "other.db")
        self.away = folder / "away"
        self.away.mkdir()
        self.base = str(folder / "base.db")  # the closed store of some moment before
        self.counts: collections.Counter[str] = collections.Counter()
        with graven.DB(self.other) as db:
            db["other"] = 1
            db["d"] = {f"k{i}": i for i in range(300)}
        self.known = [collections.defaultdict(int) for _ in range(2)]  # acknowledged, by worker
        self.counted = [0, 0]
        self.workers: list[Worker] = []

    # --- The processes

    def start(self) -> None:
        """Both have the store open and have written."""
        while len(self.workers) < 2:
            number = next(i for i in range(2) if i not in [w.number for w in self.workers])
            self.workers.append(Worker(self.path, number))
        for worker in self.workers:
            worker.clear()
            worker.tell("open")
            assert not worker.errors, worker.errors
        for worker in self.workers:
            worker.wait_for_acts(3)
            assert not worker.errors, worker.errors

    def learn(self) -> None:
        for worker in self.workers:
            assert not worker.never, worker.never
            known = self.known[worker.number]
            for key, n in worker.acknowledged.items():
                known[key] = max(known[key], n)
            self.counted[worker.number] += worker.counted
            worker.counted = 0

    def stop(self, kill: bool) -> None:
        for worker in list(self.workers):
            if kill:
                worker.kill()
                assert not worker.never, worker.never
            else:
                worker.tell("close")
        self.learn()
        if kill:
            self.workers.clear()

    def forget(self) -> None:
        """Another store is there now."""
        self.known = [collections.defaultdict(int) for _ in range(2)]
        self.counted = [0, 0]
        for worker in self.workers:
            worker.acknowledged.clear()

    # --- What must be

    def verify(self) -> None:
        with graven.DB(self.path) as db, graven.Map(self.path, "shared") as shared:
            for number in range(2):
                known = self.known[number]
                with graven.Map(self.path, f"lazy{number}") as lazy:
                    found = {
                        "g": db.get(f"g{number}", 0),
                        "t": db.get(f"t{number}", 0),
                        "m": shared.get(f"m{number}", 0),
                        "l": lazy.get(f"l{number}", 0),
                    }
                for key in KEYS:
                    assert found[key] >= known[key], (number, key, found[key], known[key])
                assert db.count(f"c{number}") >= self.counted[number]
            report = db.check()
            assert report.ok, report.problems[:3]

    def is_other(self) -> bool:
        with graven.DB(self.path) as db:
            report = db.check()
            assert report.ok, report.problems[:3]
            return db() == {"other": 1, "d": {f"k{i}": i for i in range(300)}}

    def take_side_files_away(self) -> None:
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path + suffix)

    def wipe(self) -> None:
        for suffix in SUFFIXES:
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path + suffix)
        self.forget()

    # --- What does no harm

    def foreign_reader(self) -> None:
        other = sqlite3.connect(self.path, timeout=20)
        other.execute("SELECT count(*) FROM node").fetchall()
        other.close()

    def raw_copies(self) -> None:
        for suffix in SUFFIXES:
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(self.path + suffix, str(self.away / ("copy" + suffix)))

    def others_in_the_folder(self) -> None:
        for at in range(3):
            (self.home / f"note{at}").write_text("x")
            (self.home / f"note{at}").rename(self.home / "note")
        (self.home / "note").unlink()

    def owners_deleted(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path + "-owners")

    def changes_deleted(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path + "-changes")

    def changes_noise(self) -> None:
        with contextlib.suppress(FileNotFoundError), open(self.path + "-changes", "r+b") as file:
            file.seek(4096)
            file.write(self.rnd.randbytes(4096))

    def changes_cut_off(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.truncate(self.path + "-changes", 0)

    def backup(self) -> None:
        with graven.DB(self.path) as db:
            db.backup(str(self.away / "backup.db"), overwrite=True)

    def one_killed(self) -> None:
        worker = self.rnd.choice(self.workers)
        worker.kill()
        self.learn()
        self.workers.remove(worker)
        self.workers.append(Worker(self.path, worker.number))
        self.workers[-1].tell("open")
        assert not self.workers[-1].errors, self.workers[-1].errors

    def second_sqlite(self) -> None:
        self.rnd.choice(self.workers).tell("look")

    def own_copies(self) -> None:
        self.rnd.choice(self.workers).tell("copy")

    # --- What takes the store's files away; each with how they come back

    def gone(self, which: str) -> Callable[[], None]:
        os.rename(self.path + which, self.away / ("gone" + which))
        return lambda: os.replace(self.away / ("gone" + which), self.path + which)

    def replaced(self, which: str) -> Callable[[], None]:
        new = str(self.home / "new")
        shutil.copyfile(self.other if which == "" else self.path + which, new)
        back = self.gone(which)
        os.rename(new, self.path + which)
        return back

    def linked(self) -> Callable[[], None]:
        twin = self.home / "twin.db"
        os.link(self.path, twin)
        return twin.unlink

    def linked_elsewhere(self) -> Callable[[], None]:
        twin = self.away / "twin.db"
        os.link(self.path, twin)
        return twin.unlink

    def folder_moved(self) -> Callable[[], None]:
        elsewhere = self.home.parent / "elsewhere"
        self.home.rename(elsewhere)
        return lambda: elsewhere.rename(self.home) and None

    def index_cut_off(self) -> Callable[[], None]:
        os.truncate(self.path + "-shm", 0)
        return lambda: None

    # --- Rounds

    def harmless(self, name: str, act: Callable[[], None]) -> None:
        self.counts[name] += 1
        act()
        for worker in self.workers:
            with worker._said:
                worker.acts.clear()
        for worker in self.workers:
            worker.wait_for_acts(3)
            assert not worker.errors, (name, worker.errors)

    def harmful(self, name: str, act: Callable[[], Callable[[], None]], late: float) -> None:
        """Whatever began later than that is refused; with the files back all is there."""
        self.counts[name] += 1
        for worker in self.workers:
            worker.clear()
        time.sleep(self.rnd.choice([0, 0.001, 0.03]))
        undo = act()
        done = time.monotonic_ns() + int(late * 1e9)
        for worker in self.workers:
            worker.wait_for_error()
            wrong = [act for act in worker.acts if act[0] > done]
            assert not wrong, (name, wrong, worker.errors)
        self.stop(kill=self.rnd.random() < 0.5)
        undo()
        self.verify()

    def overwritten(self) -> None:
        """By a copy onto the file: what was in it is destroyed, but the new one is whole."""
        self.counts["database overwritten in use"] += 1
        for worker in self.workers:
            worker.clear()
        shutil.copyfile(self.other, self.path)
        done = time.monotonic_ns() + 1_000_000
        for worker in self.workers:
            worker.wait_for_error()
            assert not [act for act in worker.acts if act[0] > done], worker.errors
        self.stop(kill=self.rnd.random() < 0.5)
        with contextlib.suppress(graven.UnavailableError):
            assert self.is_other()
        self.take_side_files_away()
        assert self.is_other()
        self.wipe()

    def crashed(self) -> None:
        """Killed, and then something happens to what they left."""
        self.stop(kill=True)
        kinds = ["nothing", "other", "base", "backup", "index", "owners", "moved", "empty", "touch"]
        kind = self.rnd.choice(kinds)
        self.counts[f"killed, then {kind}"] += 1
        whole = kind in ("nothing", "index", "owners", "moved", "empty", "touch")
        if kind == "index":
            if self.rnd.random() < 0.5:
                os.remove(self.path + "-shm")
            else:
                Path(self.path + "-shm").write_bytes(self.rnd.randbytes(40000))
        elif kind == "owners":
            Path(self.path + "-owners").write_bytes(self.rnd.randbytes(300))
        elif kind == "moved":
            for suffix in SUFFIXES:
                with contextlib.suppress(FileNotFoundError):
                    os.rename(self.path + suffix, str(self.away / ("moved" + suffix)))
            for suffix in SUFFIXES:
                with contextlib.suppress(FileNotFoundError):
                    os.rename(str(self.away / ("moved" + suffix)), self.path + suffix)
        elif kind == "empty":
            shutil.copyfile(self.path, str(self.away / "emptied"))
            os.truncate(self.path, 0)
            with pytest.raises(graven.UnavailableError):
                graven.DB(self.path)
            os.replace(str(self.away / "emptied"), self.path)
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path + "-owners")  # it is another inode now
        elif kind == "touch":
            os.utime(self.path)
            try:
                self.verify()
            except graven.UnavailableError as error:
                assert "-owners" in str(error)
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path + "-owners")
        if whole:
            self.verify()
            return
        source = {"other": self.other, "base": self.base, "backup": str(self.away / "backup.db")}[
            kind
        ]
        if not os.path.exists(source):
            self.verify()
            return
        onto = self.rnd.random() < 0.5
        if onto:
            shutil.copyfile(source, self.path)
        else:
            shutil.copyfile(source, self.path + ".new")
            os.replace(self.path + ".new", self.path)
        expected = self.contents(source)
        try:
            found = self.contents(self.path)
        except graven.UnavailableError:
            pass
        else:
            if kind == "base" and onto and found != expected:
                # The very state that the WAL began with, copied onto the file while a checkpoint
                # was under way: nothing tells it, and played it is the store as it was.
                self.counts["killed, then base: ignored"] += 1
                self.verify()
                self.wipe()
                return
            assert found == expected, (kind, onto)
        self.take_side_files_away()
        assert self.contents(self.path) == expected, kind
        self.wipe()

    def contents(self, path: str) -> object:
        """Of a store, without leaving anything beside a copy."""
        with graven.DB(path) as db:
            report = db.check()
            assert report.ok, report.problems[:3]
            return db()

    def round(self) -> None:
        self.start()
        benign: list[Callable[[], None]] = [
            self.foreign_reader,
            self.raw_copies,
            self.others_in_the_folder,
            self.owners_deleted,
            self.changes_deleted,
            self.changes_noise,
            self.changes_cut_off,
            self.backup,
            self.one_killed,
            self.second_sqlite,
            self.own_copies,
        ]
        for _ in range(self.rnd.randrange(2, 9)):
            act = self.rnd.choice(benign)
            self.harmless(act.__name__.replace("_", " "), act)
        harmful: list[tuple[str, Callable[[], Callable[[], None]], float]] = [
            ("database moved", lambda: self.gone(""), 0),
            ("WAL moved", lambda: self.gone("-wal"), 0),
            ("index moved", lambda: self.gone("-shm"), 0),
            ("database replaced", lambda: self.replaced(""), 0),
            ("WAL replaced", lambda: self.replaced("-wal"), 0),
            ("index replaced", lambda: self.replaced("-shm"), 0),
            ("hard link", self.linked, 0),
            ("hard link elsewhere", self.linked_elsewhere, 0.001),
            ("folder moved", self.folder_moved, 0.001),
            ("index cut off", self.index_cut_off, 0),
        ]
        choice = self.rnd.random()
        if choice < 0.6:
            self.harmful(*self.rnd.choice(harmful))
        elif choice < 0.9:
            self.crashed()
        else:
            self.overwritten()
        if os.path.exists(self.path) and not self.workers and self.rnd.random() < 0.3:
            if not os.path.exists(self.path + "-wal"):
                shutil.copyfile(self.path, self.base)


@pytest.fixture
def meddler(tmp_path: Path) -> Iterator[Meddler]:
    seed = int(os.environ.get("GRAVEN_SEED", random.randrange(1 << 31)))
    print(f"repeat with GRAVEN_SEED={seed}")
    meddler = Meddler(tmp_path, random.Random(seed))
    yield meddler
    for worker in meddler.workers:
        worker.kill()
    for name, count in sorted(meddler.counts.items()):
        print(f"{count:6} {name}")


def test_what_was_acknowledged_is_there_or_was_refused(meddler: Meddler) -> None:
    while sum(meddler.counts.values()) < MEDDLINGS:
        meddler.round()
