# SPDX-License-Identifier: MIT
"""A process of test_meddling.py: writes a store without a pause and tells what it was told.

    python meddled.py PATH NUMBER

Lines on standard output: `A <begun> <key> <n>`, a change was acknowledged that began at that time
(CLOCK_MONOTONIC, nanoseconds); `E <begun> <error>: <message>`, the store refused, and nothing more
is written until it is opened again; `X <what>`, what must never be. On standard input: `open`,
`close`, `look` (another SQLite of this process opens the file, reads and closes), `copy` (this
process reads every file of the store by itself), `end`. Each is answered by its own name.
"""

from __future__ import annotations

import os
import random
import select
import sqlite3
import sys
import time
from typing import Any

import graven

path, number = sys.argv[1], int(sys.argv[2])
SUFFIXES = ("", "-wal", "-shm", "-owners", "-changes")


def say(text: str) -> None:
    os.write(1, (text.replace("\n", " ") + "\n").encode())


class Writer:
    """A graph, a write-through map and a lazy one of one file."""

    def __init__(self) -> None:
        self.db = graven.DB(path, busy_timeout=20)
        self.map = graven.Map(path, "shared", busy_timeout=20)
        self.lazy = graven.Map(path, f"lazy{number}", persist="lazy", flush_interval=0.02)
        self.n = 1 + max(self.value(key) for key in ("g", "t", "m", "l"))
        self.seen = 0
        self.others = 0

    def value(self, key: str) -> int:
        if key in "gt":
            return int(self.db.get(f"{key}{number}", 0))
        return int((self.map if key == "m" else self.lazy).get(f"{key}{number}", 0))

    def act(self, key: str, n: int) -> None:
        if key == "g":
            self.db[f"g{number}"] = n
        elif key == "t":
            with self.db.transaction():
                self.db[f"t{number}"] = n
                self.db[f"filling{n % 50}"] = "x" * 400
        elif key == "m":
            self.map[f"m{number}"] = n
        elif key == "c":
            self.db.incr(f"c{number}")
        elif key == "d":
            self.db.wait_durable()
        else:
            self.lazy[f"l{number}"] = n
            if n % 7 == 0:
                self.lazy.flush()

    def step(self) -> None:
        self.n += 1
        key = random.choice("ggttmmlllc" + ("d" if self.n % 50 == 0 else ""))
        begun = time.monotonic_ns()
        self.act(key, self.n)
        if key != "l" or self.n % 7 == 0:
            say(f"A {begun} {key} {self.n}")
        if key in "gtm" and self.value(key) != self.n:
            say(f"X {key} is {self.value(key)} after {self.n}")
        others = int(self.db.get(f"g{1 - number}", 0))
        if others < self.others:
            say(f"X the other one went back from {self.others} to {others}")
        self.others = others

    def close(self) -> None:
        for one in (self.lazy, self.map, self.db):
            try:
                one.close()
            except graven.Error as error:
                say(f"E {time.monotonic_ns()} {type(error).__name__}: {error}")


def look() -> None:
    try:
        other = sqlite3.connect(path, timeout=5)
        other.execute("SELECT count(*) FROM node").fetchall()
        other.close()
    except sqlite3.Error:
        pass  # the files may be gone, or its lock not to be had


def copy() -> None:
    for suffix in SUFFIXES:
        try:
            with open(path + suffix, "rb") as file:
                file.read()
        except OSError:
            pass


def main() -> None:
    writer: Writer | None = None
    waiting = b""
    running = False
    while True:
        ready = select.select([0], [], [], 0 if running else None)[0]
        if ready:
            received = os.read(0, 4096)
            if not received:
                return
            waiting += received
        while b"\n" in waiting:
            line, waiting = waiting.split(b"\n", 1)
            command = line.decode()
            if command in ("open", "close", "end"):
                if writer is not None:
                    writer.close()
                    writer = None
                running = False
            if command == "open":
                begun = time.monotonic_ns()
                try:
                    writer = Writer()
                    running = True
                except graven.Error as error:
                    say(f"E {begun} {type(error).__name__}: {error}")
            elif command == "look":
                look()
            elif command == "copy":
                copy()
            say(command)
            if command == "end":
                return
        if running and writer is not None:
            begun = time.monotonic_ns()
            try:
                writer.step()
            except graven.Error as error:
                say(f"E {begun} {type(error).__name__}: {error}")
                running = False


def guarded(run: Any) -> None:
    try:
        run()
    except BaseException as error:
        say(f"X {type(error).__name__}: {error}")
        raise


guarded(main)
