# SPDX-License-Identifier: MIT
"""graven copy, and what the verbs that need a file say of a store on a server."""

import json
import os
import signal
import time

import pytest


@pytest.fixture
def filled(graven):
    graven.set("tasks", '{"T1": {"title": "write"}, "T2": [1, 2]}')
    return graven


def test_there_and_on(filled):
    out = filled.run("copy", "state.db", "copy.db")
    assert "copied 5 records of state.db (1 prefix, 4 dicts and lists" in out
    digest = out.split("both hold the same: ")[1].strip()
    assert filled.is_sound("copy.db")
    assert filled.run("dump", "copy.db") == filled.run("dump", "state.db")
    uid = json.loads(filled.run("why", "state.db", "tasks/T1", "--json"))["uid"]
    assert json.loads(filled.run("why", "copy.db", uid, "--json"))["path"] == "tasks/T1"
    url = f"sqlite:///{filled.folder}/on.db"
    assert json.loads(filled.run("copy", "copy.db", url, "--json"))["digest"] == digest
    assert filled.run("copy", "state.db", "quiet.db", "--quiet") == ""


def test_what_is_refused(filled):
    filled.run("copy", "state.db", "copy.db")
    assert "already" in filled.error("copy", "state.db", "copy.db")
    assert "the store itself" in filled.error("copy", "state.db", "state.db")
    assert "there is no database" in filled.error("copy", "none.db", "new.db")
    assert not (filled.folder / "none.db").exists()
    assert not (filled.folder / "new.db").exists()
    assert "gone at once" in filled.error("copy", "state.db", "memory://")


def test_an_interrupted_one(filled):
    lines = "\n".join(json.dumps({"n": i, "text": "x" * 500}) for i in range(120_000))
    filled.run("load", "state.db", "many", "--ndjson", "--quiet", stdin=lines)
    copying = filled.start("copy", "state.db", "copy.db", "--quiet")
    wal = filled.folder / "copy.db-wal"
    while copying.poll() is None and not (wal.exists() and wal.stat().st_size > 2_000_000):
        time.sleep(0.001)
    copying.send_signal(signal.SIGKILL)
    if copying.wait() == 0:
        pytest.skip("it had ended already")
    assert "incomplete copy" in filled.error("get", "copy.db")
    assert "incomplete copy" in filled.error("set", "copy.db", "x", "1")
    assert "incomplete copy" in filled.run("check", "copy.db", status=1)
    filled.run("copy", "state.db", "copy.db")
    assert filled.is_sound("copy.db")
    assert json.loads(filled.run("get", "copy.db", "many/119999/n")) == 119999


@pytest.mark.parametrize("verb", ["backup", "restore", "repair", "doctor", "top"])
@pytest.mark.parametrize("url", ["redis://u:hidden@h/0", "postgresql://u:hidden@h/d"])
def test_a_server_is_no_file(filled, verb, url):
    arguments = {"backup": [url, "b.db"], "restore": ["state.db", url]}.get(verb, [url])
    said = filled.error(verb, *arguments)
    assert f"'graven {verb}' is for files" in said
    assert "'graven copy'" in said and "hidden" not in said
    assert ("pg_dump" in said) == url.startswith("postgres")
    assert sorted(os.listdir(filled.folder)) == ["state.db"]
