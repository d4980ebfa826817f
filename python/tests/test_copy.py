# SPDX-License-Identifier: MIT
"""graven.copy_store(): a whole store into another one."""

from pathlib import Path

import pytest

import graven


def test_everything_is_in_the_copy(tmp_path: Path) -> None:
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    with graven.DB(source) as db:
        db["a"] = {"b": [1, 2]}
        db.incr("visits", 3)
        uid = db["a"].uid
    with graven.Map(source, name="m") as prices:
        prices["x"] = 1.5
    told = []
    report = graven.copy_store(source, f"sqlite:///{target}", lambda *args: told.append(args))
    assert isinstance(report, graven.CopyReport)
    assert (report.prefixes, report.nodes, report.maps, report.items) == (1, 3, 1, 1)
    assert told[-1] == (report.records, report.records)
    assert len(report.digest) == 32 and report.digest in repr(report)
    assert report.same_uids and report.collected == 0
    with graven.DB(target) as db:
        assert db.check().ok
        assert db["a"] == {"b": [1, 2]}
        assert db.get_via_uid(uid) == {"b": [1, 2]}
        assert db.count("visits") == 3
    with graven.Map(target, name="m") as prices:
        assert prices["x"] == 1.5


def test_what_progress_raises_ends_it(tmp_path: Path) -> None:
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    with graven.DB(source) as db:
        db["a"] = {"b": 1}

    def stop(done: int, total: int) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        graven.copy_store(source, target, progress=stop)
    with pytest.raises(graven.UsageError, match="incomplete copy"):
        graven.DB(target)
    graven.copy_store(source, target)
    with pytest.raises(graven.UsageError, match="already"):
        graven.copy_store(source, target)
    with graven.DB(target) as db:
        assert db["a"]["b"] == 1
