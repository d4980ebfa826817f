# SPDX-License-Identifier: MIT
"""Servers that tests start: one of each kind for a run of pytest, each store under its own name."""

from __future__ import annotations

import atexit
import functools
import glob
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import graven

_stores = itertools.count(1)


class Server:
    """A process with a folder of its own, ended at the end of the program."""

    def __init__(self, prepare: Callable[[Path], Sequence[str]], **how: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="graven-", dir="/tmp"))
        self.folder.chmod(0o777)
        self.log = (self.folder / "log").open("wb")
        atexit.register(self.end)
        command = prepare(self.folder)
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, **how)

    def wait_until(self, ready: Callable[[], object]) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                ready()
                return
            except graven.UnavailableError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
            time.sleep(0.02)

    def end(self) -> None:
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def _redis() -> Server | None:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        return None
    server = Server(
        lambda folder: [
            *(program, "--port", "0", "--unixsocket", str(folder / "s"), "--save", ""),
            *("--dir", str(folder)),
        ]
    )
    server.wait_until(lambda: graven.DB(f"unix://{server.folder}/s?key_prefix=ready").close())
    return server


@functools.cache
def _postgres() -> Server | None:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not found:
        return None
    how: dict[str, Any] = {}
    if os.getuid() == 0:  # it refuses root
        user = pwd.getpwnam("postgres")
        how = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def prepare(folder: Path) -> list[str]:
        data = str(folder / "data")
        subprocess.run(
            [f"{found[-1]}/initdb", "-D", data, "-U", "graven", "--auth=trust", "-N", "-E", "UTF8"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            **how,
        )
        options = ["fsync=off", "listen_addresses=", f"unix_socket_directories={data}"]
        return [f"{found[-1]}/postgres", "-D", data, *(word for o in options for word in ("-c", o))]

    server = Server(prepare, **how)
    server.wait_until(lambda: graven.DB(_postgres_url(server, "ready")).close())
    return server


def _postgres_url(server: Server, schema: str) -> str:
    return f"postgresql://graven@/postgres?host={server.folder}/data&schema={schema}"


def new_store(kind: str) -> str:
    """The URL of a new store on a "redis" or "postgres" server; skips the test without one."""
    name = f"t{next(_stores)}"
    server = _redis() if kind == "redis" else _postgres()
    if server is None:
        pytest.skip(f"no server for {kind} is installed")
    if kind == "redis":
        return f"unix://{server.folder}/s?key_prefix={name}"
    return _postgres_url(server, name)
