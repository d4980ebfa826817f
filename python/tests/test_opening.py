# SPDX-License-Identifier: MIT
"""What opening makes, and what it must not make."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

import graven
import graven.aio


@pytest.mark.parametrize("name", [":memory:", "sqlite:///:memory:", "memory://"])
def test_memory_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with graven.DB(name) as one, graven.DB(name) as two:
        one["x"] = 1
        assert one.name == "memory://"
        assert two() == {}
    with graven.Map(name) as items:
        items["x"] = 1
        assert items.persist == "memory"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("read_only", [False, True])
def test_create_false_makes_nothing(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "s.db"
    for opening in (graven.DB, graven.Map):
        with pytest.raises(graven.UnavailableError, match="does not exist"):
            opening(path, create=False, read_only=read_only)
    for url in (f"sqlite:///{path}?mode=rw", f"sqlite:///{path}?create=off"):
        for opening in (graven.DB, graven.Map):
            with pytest.raises(graven.UnavailableError, match="does not exist"):
                opening(url)
    assert os.listdir(tmp_path) == []
    path.touch()
    with pytest.raises(graven.UnavailableError, match="is empty"):
        graven.DB(path, create=False)
    assert os.listdir(tmp_path) == ["s.db"] and path.stat().st_size == 0


def test_create_false_opens_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with graven.DB(f"sqlite:///{path}?mode=rwc") as db:
        db["x"] = 1
    for url, create in ((str(path), False), (f"sqlite:///{path}?mode=rw", True)):
        for persist in ("writethrough", "lazy"):
            with graven.DB(url, create=create, persist=persist) as db:
                db["x"] += 1
                assert not db.read_only
    with graven.DB(path) as db:
        assert db["x"] == 5


def test_create_false_in_memory_is_refused() -> None:
    for url in ("memory://", ":memory:"):
        with pytest.raises(graven.UsageError, match="always a new one"):
            graven.DB(url, create=False)
    for opening in (graven.DB, graven.Map):
        with pytest.raises(graven.UsageError, match="always a new one"):
            opening("x", persist="memory", create=False)


def test_create_false_in_asyncio(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(graven.UnavailableError):
            await graven.aio.DB.open(tmp_path / "s.db", create=False)
        with pytest.raises(graven.UnavailableError):
            await graven.aio.AsyncMap(tmp_path / "s.db", create=False).__aenter__()

    asyncio.run(main())
    assert os.listdir(tmp_path) == []
