# SPDX-License-Identifier: MIT
"""No verb writes onto a file of a store, whatever it is called; dump overwrites only when told."""

import os
import signal
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


PRINTING = {
    "get": ["get", "state.db"],
    "ls": ["ls", "state.db"],
    "tree": ["tree", "state.db"],
    "query": ["query", "state.db", ""],
    "dump": ["dump", "state.db"],
    "check": ["check", "state.db"],
    "check, by a URL": ["check", "sqlite:///state.db", "--json"],
    "doctor": ["doctor", "state.db"],
    "repair": ["repair", "state.db", "--dry-run"],
    "stats": ["stats", "state.db"],
    "why": ["why", "state.db", ""],
    "watch": ["watch", "state.db", "--timeout", "1"],
    "collect": ["collect", "state.db"],
    "maintenance": ["maintenance", "state.db"],
    "backup": ["backup", "state.db", "another.db"],
    "restore": ["restore", "copy.db", "another.db"],
    "what is not there": ["get", "another.db"],
    "help": ["--help"],
    "a wrong verb": ["dunp"],
}


@pytest.mark.parametrize("descriptors", [[1], [2], [1, 2]], ids=["out", "errors", "both"])
@pytest.mark.parametrize("verb", PRINTING)
def test_no_verb_prints_into_a_file_of_a_store(busy, verb, descriptors):
    for suffix in ("", "-wal", "-shm"):
        file = busy.folder / ("state.db" + suffix)
        before = states(busy.folder)
        with open(file, "ab") as into:
            done = subprocess.run(
                [busy.program, *PRINTING[verb]],
                cwd=busy.folder,
                stdout=into if 1 in descriptors else subprocess.PIPE,
                stderr=into if 2 in descriptors else subprocess.PIPE,
                text=True,
                timeout=120,
            )
        assert done.returncode == 2, suffix
        if descriptors != [1, 2]:
            assert "redirect it to another file" in (done.stdout or done.stderr)
        assert states(busy.folder) == before, suffix
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
    assert graven.is_sound()


def test_dump_takes_away_nothing_that_it_did_not_make(graven):
    graven.set("a", "1")
    others = [graven.folder / f"out.json{end}" for end in (".part", ".partial-mine")]
    for other in others:
        other.write_text("mine")
    graven.run("dump", "state.db", "-o", "out.json")
    graven.run("dump", "state.db", "-o", "out.json", "--overwrite")
    assert [other.read_text() for other in others] == ["mine", "mine"]


def stopped_dump(graven):
    """A dump to out.json that was stopped while it writes."""
    while True:
        dump = graven.start("dump", "state.db", "-o", "out.json", "--overwrite")
        while not list(graven.folder.glob("out.json.part*")) and dump.poll() is None:
            pass
        if dump.poll() is None:
            dump.send_signal(signal.SIGSTOP)
            _, status = os.waitpid(dump.pid, os.WUNTRACED)
            if os.WIFSTOPPED(status) and list(graven.folder.glob("out.json.part*")):
                return dump
            dump.send_signal(signal.SIGCONT)
        dump.wait()


def test_two_dumps_to_one_file(graven):
    graven.load('{"a": "' + "x" * 30_000_000 + '"}')
    whole = graven.dump()
    first = stopped_dump(graven)
    graven.run("dump", "state.db", "-o", "out.json", "--overwrite")
    assert (graven.folder / "out.json").read_text() == whole
    first.send_signal(signal.SIGCONT)
    assert first.wait() == 0
    assert (graven.folder / "out.json").read_text() == whole
    assert not list(graven.folder.glob("out.json.part*"))


def test_what_a_killed_dump_has_left_the_next_one_takes_away(graven):
    graven.load('{"a": "' + "x" * 30_000_000 + '"}')
    first = stopped_dump(graven)
    first.kill()
    first.wait()
    assert list(graven.folder.glob("out.json.part*"))
    graven.run("dump", "state.db", "-o", "out.json", "--overwrite")
    assert not list(graven.folder.glob("out.json.part*"))


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
