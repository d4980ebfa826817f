# SPDX-License-Identifier: MIT
"""The demo, on a small index with cycles, and on this machine's own."""

import gzip
import json
import lzma
import re
import shutil
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


def body(out: str) -> str:
    """Output without times and uids."""
    out = re.sub(r"main:[DL][0-9A-Z]{26}", "UID", out)
    return re.sub(r" +\d+(\.\d+)? (ms|s)$", "", out, flags=re.M)


def test_a_small_index(graven):
    graven.write("Packages", PACKAGES)
    out = body(graven.run("demo", "--input", "Packages", "--out", "demo/p.db"))
    assert "9 packages of 10 stanzas stored" in out
    assert "1 stanzas are other versions" in out
    assert "2 names nobody has" in out  # nothing-real, exim4-config-2
    assert "4 parents link it" in out or "refcount: " in out
    assert "4 depend on it, 0 recommend it" in out  # libgcc-s1, bash, python3, python3.11
    assert '"description": "the C library' not in out
    assert "bash is version 5.2.15-2: as before" in out
    assert "still holds it: refcount 0, version 3.11.2-1" in out
    assert "gone: 3 of its 3 dicts" in out
    assert "python3.11 lives: packages/python3.11" in out
    assert "exim4 and exim4-config depend on each other" in out or (
        "libgcc-s1" in out and "depend on each other" in out
    )
    assert re.search(r"gone with the commit: (\d+) of their \1 dicts", out)
    assert "sound" in out
    assert out.count(" demo/p.db ") >= 3
    # What it left is what it says.
    db = "demo/p.db"
    about = json.loads(graven.run("get", db, "about"))
    assert about["packages"] == 9
    assert about["sections"] == {"libs": 3, "mail": 2, "python": 2, "shells": 2}
    assert "python3" not in graven.run("ls", db, "packages").splitlines()
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
    assert json.loads(graven.run("check", db, "--json"))["ok"]
    # The commands it recommends work.
    for line in out.splitlines():
        command = re.match(r"  \S+ ((?:ls|get|why) demo/p\.db .*)", line)
        if command:
            graven.run(*command.group(1).split())
    # And it can be run again.
    graven.run("demo", "--input", "Packages", "--out", "demo/p.db")


def test_packed_indexes(graven):
    for name, pack in (("P.gz", gzip.compress), ("P.xz", lzma.compress)):
        (graven.folder / name).write_bytes(pack(PACKAGES.encode()))
        assert "9 packages" in graven.run("demo", "--input", name, "--out", f"{name}.db")
    (graven.folder / "broken.gz").write_bytes(b"not gzip")
    assert (
        "gzip failed" in graven.both("demo", "--input", "broken.gz", "--out", "x.db", status=2)[1]
    )


def test_it_replaces_only_what_a_demo_made(graven):
    graven.write("Packages", PACKAGES)
    graven.set("mine", "1")
    graven.error("demo", "--input", "Packages", "--out", "state.db")
    assert graven.get() == {"mine": 1}
    graven.write("text", "precious")
    graven.error("demo", "--input", "Packages", "--out", "text")
    assert (graven.folder / "text").read_text() == "precious"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "holds no packages"),
        ("nonsense\n", "line 1"),
        ("Package: x\n", "lacks Version"),
        ("Version: 1\n", "lacks Package"),
    ],
)
def test_bad_indexes(graven, content, what):
    graven.write("bad", content)
    _, err = graven.both("demo", "--input", "bad", "--out", "x.db", status=2)
    assert what in err
    assert "cannot open" in graven.both("demo", "--input", "missing", "--out", "x.db", status=2)[1]


def test_one_package(graven):
    graven.write("one", "Package: a\nVersion: 1\n")
    out = graven.run("demo", "--input", "one", "--out", "x.db")
    assert "sound" in out


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
def test_this_machines_index(graven):
    out = body(graven.run("demo"))
    stanzas = sum(
        line.startswith(b"Package: ")
        for line in subprocess.run(
            ["apt-cache", "dumpavail"], stdout=subprocess.PIPE, check=True
        ).stdout.splitlines()
    )
    assert f"{stanzas:,} " in out
    assert "as before" in out
    assert ": sound" in out
    db = "build/demo/packages.db"
    names = graven.run("ls", db, "packages").splitlines()
    assert "bash" in names
    assert "python3" not in names
    assert json.loads(graven.run("check", db, "--json"))["ok"]
