# SPDX-License-Identifier: MIT
"""The example debian_packages, on a small index with cycles, and on this machine's own."""

import bz2
import copy
import gzip
import json
import lzma
import os
import re
import shutil
import signal
import subprocess

import pytest

PACKAGES = """\
Package: libc6
Version: 2.36-9
Section: libs
Architecture: amd64
Installed-Size: 13001
Maintainer: A <a@example.org>
Description: the C library
 with more words
Depends: libgcc-s1

Package: libgcc-s1
Version: 12.2.0-14
Section: libs
Depends: libc6 (>= 2.35), gcc-12-base (= 12.2.0-14)

Package: gcc-12-base
Version: 12.2.0-14
Section: libs

Package: bash
Version: 5.2.15-2
Section: shells
Pre-Depends: libc6 (>= 2.36)
Depends: libc6, mail-transport-agent | nothing-real
Recommends: bash-completion

Package: python3
Version: 3.11.1-1
Section: python
Depends: python3.11

Package: python3
Version: 3.11.2-1
Section: python
Depends: python3.11 (>= 3.11.2), libc6
Provides: python3-supported (= 3.11)

Package: python3.11
Version: 3.11.2-6
Section: python
Depends: libc6

Package: bash-completion
Version: 1:2.11-6
Section: shells
Depends: python3:any

Package: exim4
Version: 4.96-15
Section: mail
Provides: mail-transport-agent
Depends: exim4-config | exim4-config-2, python3-supported

Package: exim4-config
Version: 4.96-15
Section: mail
Depends: exim4
Recommends: exim4-config
"""


@pytest.fixture
def example(graven):
    """The example's program, in the folder of the command."""
    program = copy.copy(graven)
    program.program = os.environ["GRAVEN_DEMO"]
    return program


def body(out: str) -> str:
    """Output without times."""
    return re.sub(r" +\d+\.\d+ ms$", "", out, flags=re.M)


def test_a_small_index(graven, example):
    graven.write("Packages", PACKAGES)
    out = body(example.run("--input", "Packages", "--out", "demo/p.db"))
    assert "9 packages of 10 stanzas stored, the newest version of each" in out
    assert "2 names nobody has" in out  # nothing-real, exim4-config-2
    assert "50,000 random" in out
    assert "'version': '5.2.15-2'" in out  # bash, in a line
    assert "\n  5 parents link it\n" in out  # packages, and those that depend on it:
    assert "\n  4 depend on it\n" in out  # libgcc-s1, bash, python3, python3.11
    assert "9 packages deleted, then an exception: 9 packages, as before" in out
    assert "python3 is unlinked from everything that links it" in out
    assert "still holds it: refcount 0, version 3.11.2-1" in out
    assert "reclaims 3 nodes" in out
    assert "gone: 3 of 3 dicts" in out
    assert "python3.11 lives: packages/python3.11" in out
    assert "exim4 and exim4-config, which depend on each other, are unlinked" in out
    assert "still holds it: refcount 1, version 4.96-15" in out
    assert "gone: 6 of 6 dicts" in out
    assert "links: sound" in out
    assert out.count(" demo/p.db ") == 3
    # What it left is what it says.
    db = "demo/p.db"
    about = json.loads(graven.run("get", db, "about"))
    assert about["packages"] == 9
    assert about["sections"] == {"libs": 3, "mail": 2, "python": 2, "shells": 2}
    names = graven.run("ls", db, "packages").splitlines()
    assert "bash" in names and not {"python3", "exim4", "exim4-config"} & set(names)
    assert graven.run("get", db, "packages/bash/depends/libc6/version") == '"2.36-9"\n'
    assert (
        graven.run("get", db, "packages/bash/depends/libc6/description", "-r")
        == "the C library\nwith more words\n"
    )
    assert graven.run("get", db, "packages/bash/depends/nothing-real") == "null\n"
    assert (
        graven.run("get", db, "packages/libc6/depends/libgcc-s1/depends/libc6/installed_size")
        == "13001\n"
    )
    assert graven.is_sound(db)
    # The commands it recommends work.
    for line in out.splitlines():
        command = re.match(r"  graven ((?:ls|get|why) demo/p\.db .*)", line)
        if command:
            graven.run(*command.group(1).split())
    # And it can be run again.
    example.run("--input", "Packages", "--out", "demo/p.db")


def test_packed_indexes(graven, example):
    for name, pack in (("P.gz", gzip.compress), ("P.xz", lzma.compress), ("P.bz2", bz2.compress)):
        graven.write(name, pack(PACKAGES.encode()))
        assert "9 packages" in example.run("--input", name, "--out", f"{name}.db")
    graven.write("it's $(one).gz", gzip.compress(PACKAGES.encode()))
    assert "9 packages" in example.run("--input", "it's $(one).gz", "--out", "x.db")
    graven.write("broken.gz", "not gzip")
    _, err = example.both("--input", "broken.gz", "--out", "x.db", status=2)
    assert "cannot import broken.gz: 'gzip -dc' failed" in err


def test_it_replaces_only_what_it_made(graven, example):
    graven.write("Packages", PACKAGES)
    graven.set("mine", "1")
    out, err = example.both("--input", "Packages", "--out", "state.db", status=2)
    assert out == ""
    assert "state.db exists" in err and "--out" in err
    assert graven.get() == {"mine": 1}
    graven.write("text", "precious")
    out, err = example.both("--input", "Packages", "--out", "text", status=2)
    assert out == ""
    assert "text exists" in err
    assert (graven.folder / "text").read_text() == "precious"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "holds no packages"),
        ("nonsense\n", "line 1"),
        ("Package: x\n", "stanza 1 lacks Version"),
        ("Version: 1\n", "stanza 1 lacks Package"),
        (b"Package: x\nVersion: 1\nSection: \xff\n", "UTF-8"),
        (b"Package: \xff\nVersion: 1\n", "UTF-8"),
        (b"Package: x\nVersion: 1\nDepends: \xff\n", "UTF-8"),
    ],
)
def test_bad_indexes(graven, example, content, what):
    graven.write("bad", content)
    _, err = example.both("--input", "bad", "--out", "x.db", status=2)
    assert err.startswith("debian_packages: cannot import bad: ")
    assert what in err
    assert graven.is_sound("x.db")
    _, err = example.both("--input", "missing", "--out", "x.db", status=2)
    assert "cannot import missing: cannot open it: No such file" in err


def test_one_package(graven, example):
    graven.write("one", "Package: a\nVersion: 1\n")
    out = example.run("--input", "one", "--out", "x.db")
    assert "links: sound" in out


def test_wrong_usage(example):
    for arguments in (["--input"], ["Packages"], ["--help"]):
        out, err = example.both(*arguments, status=2)
        assert out == ""
        assert err.startswith("Usage: ")


def test_interrupted_it_leaves_a_whole_file(graven, example):
    os.mkfifo(graven.folder / "slow")
    process = example.start(
        "--input", "slow", "--out", "x.db", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with (graven.folder / "slow").open("w") as pipe:
        pipe.write(PACKAGES)
        pipe.flush()
        assert process.stdout.readline() == b"Importing slow into x.db\n"
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert b"interrupted; run it again" in err
    left = {"about": {"made_by": "graven demo"}, "packages": {}, "virtual": {}}
    assert json.loads(graven.run("get", "x.db")) == left
    assert graven.is_sound("x.db")
    graven.write("Packages", PACKAGES)
    assert "9 packages" in example.run("--input", "Packages", "--out", "x.db")


def has_package_lists() -> bool:
    if shutil.which("apt-cache") is None:
        return False
    process = subprocess.Popen(
        ["apt-cache", "dumpavail"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        return process.stdout.read(1) != b""
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


@pytest.mark.demo
@pytest.mark.skipif(not has_package_lists(), reason="no apt lists: apt-get update")
def test_this_machines_index(graven, example):
    out = body(example.run())
    stanzas = sum(
        line.startswith(b"Package: ")
        for line in subprocess.run(
            ["apt-cache", "dumpavail"], stdout=subprocess.PIPE, check=True
        ).stdout.splitlines()
    )
    assert f"{stanzas:,} " in out
    assert "packages, as before" in out
    assert ": sound" in out
    db = "build/demo/packages.db"
    names = graven.run("ls", db, "packages").splitlines()
    assert "bash" in names
    assert "python3" not in names
    assert graven.is_sound(db)
