# SPDX-License-Identifier: MIT
"""What the tests share: databases on every store, and the documentation's programs as tests.

Random tests can be repeated: hypothesis prints the blob of what failed, the others their seed,
which GRAVEN_SEED gives back to them. GRAVEN_FULL multiplies the work of the long ones.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from servers import new_store

import graven

SOURCE = Path(__file__).resolve().parents[2]

settings.register_profile(
    "graven",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("graven")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a new database may be made."""
    return str(tmp_path / "state.db")


@pytest.fixture(params=["memory", "sqlite", "lazy", "redis", "postgres"])
def db(request: pytest.FixtureRequest, path: str) -> Iterator[graven.DB]:
    """An empty database, on each store; what a test leaves behind must be sound."""
    if request.param == "memory":
        database = graven.DB("memory://")
    elif request.param == "sqlite":
        database = graven.DB(path)
    elif request.param in ("redis", "postgres"):
        database = graven.DB(new_store(request.param))
    else:
        database = graven.DB(path, persist="lazy", flush_interval=0.002)
    yield database
    if not database.closed:
        report = database.check()
        assert report.ok, report.problems
        database.close()


@pytest.fixture
def file_db(path: str) -> Iterator[graven.DB]:
    """An empty database in a file."""
    database = graven.DB(path)
    yield database
    if not database.closed:
        report = database.check()
        assert report.ok, report.problems
        database.close()


@pytest.fixture
def seed() -> Iterator[int]:
    """A seed for a test's own random numbers; printed with the test's output when it fails."""
    number = int(os.environ.get("GRAVEN_SEED", random.SystemRandom().randrange(2**32)))
    print(f"repeat with GRAVEN_SEED={number}")
    yield number


# The python blocks of the documentation, each a test in an empty directory.

PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def documentation() -> list[Path]:
    return [SOURCE / "README.md", *sorted((SOURCE / "docs").rglob("*.md"))]


def snippets() -> list[tuple[str, str]]:
    found = []
    for page in documentation():
        text = page.read_text(encoding="utf-8")
        for match in PYTHON_BLOCK.finditer(text):
            line = text.count("\n", 0, match.start(1)) + 1
            found.append((f"{page.relative_to(SOURCE)}:{line}", match.group(1)))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "snippet" in metafunc.fixturenames:
        found = snippets()
        metafunc.parametrize("snippet", found, ids=[name for name, _ in found])


@pytest.fixture
def run_snippet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[tuple[str, str]], None]:
    """Runs a program of the documentation as it stands there."""

    def run(snippet: tuple[str, str]) -> None:
        name, program = snippet
        monkeypatch.chdir(tmp_path)
        code = compile(program, name, "exec")
        exec(code, {"__name__": "__main__"})  # our own documentation

    return run
