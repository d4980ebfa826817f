# SPDX-License-Identifier: MIT
"""No verb shows the password of a URL, wherever in it that stands, also where the URL is wrong."""

import os
import subprocess

import pytest

SECRET = "hunter2"
URLS = [
    f"postgres://ada:{SECRET}@db.example/shop",
    f"postgres://{SECRET}@db.example/shop",
    f"postgres://ada:{SECRET}/x@y?z@db.example/shop",
    f"redis://:{SECRET}@db.example:6379/0?ssl=on",
    f"rediss://ada:{SECRET}",
    f"unix://ada:{SECRET}@/run/db.sock?key_prefix=x",
    f"redis+cluster://:{SECRET}@db.example",
    f"redis+embedded:///no/such/folder/x.rdb?password={SECRET}",
    f"sqlite://ada:{SECRET}@host/state.db",
    f"sqlite:///state.db?password={SECRET}",
    f"sqlite:///state.db?mode=zz&authToken={SECRET}",
    f"sqlite:///state.db?PASSWORD={SECRET}&mode=ro",
    f"sqlite:///state.db?p%61ssword={SECRET}",
    f"sqlite:///state.db?mode=%zz&secret_key={SECRET}",
    f"libsql://ada:{SECRET}@host?authToken={SECRET}",
    f"memory://ada:{SECRET}@host",
]
VERBS = [
    ("get",),
    ("ls",),
    ("set", "a", "1"),
    ("check",),
    ("stats",),
    ("doctor",),
    ("repair", "--dry-run"),
    ("maintenance",),
    ("backup", "copy.db"),
    ("serve", "--port", "0"),
    ("watch", "--timeout", "0"),
]


@pytest.mark.parametrize("url", URLS)
def test_errors_of_verbs(graven, url):
    # A server that cannot be reached is tried for some seconds.
    for verb, *rest in VERBS[:1] if "@db.example" in url else VERBS:
        out, err = graven.both(verb, url, *rest, status=None)
        assert err, (verb, out)
        assert SECRET not in out + err, (verb, err)


@pytest.mark.parametrize("query", [f"authToken={SECRET}&mode=zz", "mode=zz", f"x={SECRET}"])
@pytest.mark.parametrize("verb", ["check", "doctor", "restore"])
def test_of_a_store_that_is_there(graven, verb, query):
    """A verb that works on the file refuses what opening by the URL refuses."""
    graven.set("a", "1")
    graven.run("backup", "state.db", "copy.db")
    arguments = ["copy.db"] if verb == "restore" else []
    error = graven.error(verb, *arguments, f"sqlite:///state.db?{query}")
    assert "cannot open 'sqlite:///state.db?" in error
    assert error.count(SECRET) == (query[0] == "x")
    assert graven.is_sound()


def test_a_report_names_the_file_without_secrets(graven):
    graven.set("a", "1")
    out = graven.run("check", "sqlite:///state.db?mode=ro")
    assert "sqlite:///state.db?mode=ro: sound" in out


def test_the_rest_of_a_url_is_shown(graven):
    error = graven.error("get", f"postgres://ada:{SECRET}@db.example/shop?sslmode=on&pwd={SECRET}")
    assert "postgres://***@db.example/shop?sslmode=on&pwd=***" in error


def test_restore_into_a_url(graven):
    graven.set("a", "1")
    graven.run("backup", "state.db", "copy.db")
    assert SECRET not in graven.error("restore", "copy.db", f"postgres://ada:{SECRET}@h/x")


def test_a_completion_of_keys_says_nothing(graven):
    environment = {**os.environ, "DATABASE_URL": URLS[0]}
    done = subprocess.run(
        [graven.program, "get", "missing.db"],
        cwd=graven.folder,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode != 0 and SECRET not in done.stdout + done.stderr
