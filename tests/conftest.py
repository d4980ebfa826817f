# SPDX-License-Identifier: MIT
"""Runs the built graven command (GRAVEN_CLI) in a folder of its own."""

import json
import os
import subprocess
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "demo: reads this machine's package index")


class Graven:
    """The command, with a database `state.db` in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.program = os.environ["GRAVEN_CLI"]
        self.folder = folder
        self.database = "state.db"

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        return subprocess.Popen([self.program, *arguments], cwd=self.folder, **options)

    def run(self, *arguments: str, status: int = 0, stdin: "str | bytes" = b"") -> str:
        """Runs it, insists on the exit status and returns standard output as text."""
        out, _ = self.both(*arguments, status=status, stdin=stdin)
        return out

    def error(self, *arguments: str, status: int = 2, stdin: "str | bytes" = b"") -> str:
        """Runs it, insists on failure without output, and returns standard error."""
        out, err = self.both(*arguments, status=status, stdin=stdin)
        assert out == ""
        assert err.startswith("graven: ") or "--help" in err, err
        return err

    def both(
        self, *arguments: str, status: "int | None" = 0, stdin: "str | bytes" = b""
    ) -> "tuple[str, str]":
        """Standard output and error; None: any exit status will do."""
        done = subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=600,
        )
        out = done.stdout.decode("utf-8", "replace")
        err = done.stderr.decode("utf-8", "replace")
        assert status in (None, done.returncode), f"{arguments}: {done.returncode}\n{out}\n{err}"
        return out, err

    # The usual database.

    def set(self, path: str, value: str, *options: str) -> None:
        assert self.run("set", self.database, path, value, *options) == ""

    def get(self, path: str = ""):
        return json.loads(self.run("get", self.database, path))

    def load(self, text: "str | bytes", *options: str) -> str:
        return self.both("load", self.database, *options, stdin=text)[1]

    def dump(self, *options: str, database: str = "") -> str:
        return self.run("dump", database or self.database, *options)

    def is_sound(self, database: str = "") -> bool:
        return json.loads(self.run("check", database or self.database, "--json"))["ok"]

    def write(self, name: str, content: "str | bytes") -> str:
        data = content.encode() if isinstance(content, str) else content
        (self.folder / name).write_bytes(data)
        return name


@pytest.fixture
def graven(tmp_path: Path) -> Graven:
    return Graven(tmp_path)
