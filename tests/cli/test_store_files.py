# SPDX-License-Identifier: MIT
"""No verb writes onto a file of a store, whatever it is called; dump overwrites only when told."""

import os
import sqlite3
import subprocess

import pytest

SUFFIXES = ["", "-wal", "-shm", "-owners", "-changes", "-journal"]
LINKS = ["name", "relative", "symbolic", "hard", "descriptor"]

# What is tried, with {} for the way to a file of state.db.
VERBS = {
    "dump": ["dump", "state.db", "-o", "{}"],
    "dump --overwrite": ["dump", "state.db", "-o", "{}", "--overwrite"],
    "dump another": ["dump", "copy.db", "-o", "{}", "--overwrite"],
    "backup": ["backup", "state.db", "{}"],
    "backup --overwrite": ["backup", "state.db", "{}", "--overwrite"],
    "restore": ["restore", "copy.db", "{}"],
    "restore --discard": ["restore", "copy.db", "{}", "--discard"],
}


@pytest.fixture
def busy(graven):
    """A store that a program has open, so that all of its files are there; and a backup."""
    graven.set("k", "1")
    graven.run("backup", "state.db", "copy.db")
    watch = graven.start(
        "watch", "state.db", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert watch.stderr.readline().startswith("watching ")
    graven.set("k", "2")
    assert watch.stdout.readline()  # it has what was written
    yield graven
    watch.terminate()
    watch.communicate()


def states(folder):
    return {p.name: p.stat().st_size for p in folder.iterdir()}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_writes_onto_a_file_of_a_store(busy, verb, link):
    folder = busy.folder
    for suffix in SUFFIXES:
        file = folder / ("state.db" + suffix)
        # Another link to the store itself is refused by whoever opens it.
        if not file.exists() and link not in ("name", "relative"):
            continue
        if link == "hard" and suffix == "":
            continue
        way = folder / "way"
        options = {}
        if link == "name":
            way = file
        elif link == "relative":
            way = f"../{folder.name}/./{file.name}"
        elif link == "symbolic":
            way.symlink_to(file)
        elif link == "hard":
            os.link(file, way)
        else:
            descriptor = os.open(file, os.O_RDONLY)
            way = f"/proc/self/fd/{descriptor}"
            options["pass_fds"] = [descriptor]
        before = states(folder)
        done = subprocess.run(
            [busy.program, *(part.format(way) for part in VERBS[verb])],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            **options,
        )
        assert done.returncode == 2, (suffix, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        assert states(folder) == before, suffix
        if link in ("symbolic", "hard"):
            way.unlink()
        elif link == "descriptor":
            os.close(descriptor)
    assert busy.get("k") == 2
    assert busy.is_sound()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_output_that_is_redirected_to_a_file_of_the_store_is_refused(busy, suffix):
    file = busy.folder / ("state.db" + suffix)
    # One that is not there is made by the shell, before the verb begins.
    size = file.stat().st_size if file.exists() else 0
    with open(file, "ab") as out:
        done = subprocess.run(
            [busy.program, "dump", "state.db"],
            cwd=busy.folder,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.returncode == 2
    assert "redirect it to another file" in done.stderr
    assert file.stat().st_size == size
    assert busy.is_sound()


def test_dump_overwrites_only_when_told(graven):
    graven.set("a", "1")
    out = graven.folder / "out.json"
    out.write_text("mine")
    assert "--overwrite" in graven.error("dump", "state.db", "-o", "out.json")
    assert out.read_text() == "mine"
    graven.run("dump", "state.db", "-o", "out.json", "--overwrite")
    assert out.read_text() == '{"a":1}\n'
    # What a link leads to is replaced, not the link.
    (graven.folder / "link").symlink_to(out)
    graven.set("a", "2")
    graven.run("dump", "state.db", "-o", "link", "--overwrite")
    assert (graven.folder / "link").is_symlink()
    assert out.read_text() == '{"a":2}\n'
    assert graven.run("dump", "state.db", "-o", "/dev/stdout") == '{"a":2}\n'
    # A temporary name that leads elsewhere is not followed.
    (graven.folder / "new.json.part").symlink_to(graven.folder / "state.db")
    assert graven.error("dump", "state.db", "-o", "new.json")
    assert graven.is_sound()


def alter(graven, sql):
    with sqlite3.connect(graven.folder / "state.db") as db:
        db.execute(sql)
    db.close()


def test_dump_goes_on_around_what_is_damaged(graven):
    graven.load('{"a": {"b": 1}, "c": [1, 2, 3], "d": {"e": "f"}}')
    alter(graven, "UPDATE node SET kind = 1 WHERE kind = 0 AND anchor <> id")
    out, err = graven.both("dump", "state.db", status=3)
    assert out == '{"a":{},"c":[1,2,3],"d":{}}\n'
    assert err.count("left out of main:D") == 2
    graven.both("dump", "state.db", "--ndjson", "-o", "out.ndjson", status=3)
    assert (graven.folder / "out.ndjson").read_text().count("\n") == 3
    _, err = graven.both("dump", "state.db", "--json", status=3)
    assert err.count('"code": "corruption"') == 2
    graven.both("get", "state.db", "a", status=2)
    graven.both("check", "state.db", status=1)
    graven.run("repair", "state.db", status=0)
    assert graven.get("c") == [1, 2, 3]


def test_doctor_tells_of_half_a_file(graven):
    graven.load('{"a": "' + "x" * 100_000 + '"}')
    assert "nothing to do" in graven.run("doctor", "state.db")
    file = graven.folder / "state.db"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    out = graven.run("doctor", "state.db", status=1)
    assert "its end is missing" in out


def test_check_tells_of_a_prefix_that_is_gone(graven):
    graven.load('{"a": 1}')
    alter(graven, "DELETE FROM prefix WHERE name = 'main'")
    out, _ = graven.both("check", "state.db", status=1)
    assert "root of no prefix" in out
    graven.run("repair", "state.db")
    assert graven.is_sound()
