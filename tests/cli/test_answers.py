# SPDX-License-Identifier: MIT
"""--json of every verb: one document on standard output, errors as one on standard error."""

import json
import os
import pty
import re
import select
import signal
import subprocess

import pytest


@pytest.fixture
def filled(graven):
    graven.set("tasks", '{"T1": {"title": "write", "raw": {"$bytes": "aGk="}}, "T2": 5}')
    graven.set("queue", "[1, 2]")
    return graven


def one(text):
    """The one document that an answer is."""
    assert text.count("\n") >= 1 and text.endswith("\n")
    return json.loads(text)


def test_every_verb_has_it(graven):
    overview = graven.run("--help").split("Subcommands:")[1]
    verbs = set(re.findall(r"^  ([a-z]+) ", overview, re.M))
    for verb in verbs:
        assert re.search(r"^  --json ", graven.run(verb, "--help"), re.M), verb
    assert verbs == set(ANSWERS) | {"top", "serve", "watch"}


# What each verb answers, of its arguments and standard input.
ANSWERS = {
    "get": (["state.db", "tasks/T2"], lambda a: a == 5),
    "set": (["state.db", "tasks/T3", "1"], lambda a: a == {"path": "tasks/T3"}),
    "del": (["state.db", "tasks/T2"], lambda a: a == {"path": "tasks/T2"}),
    "ls": (["state.db", "tasks"], lambda a: a == ["T1", "T2"]),
    "tree": (
        ["state.db"],
        lambda a: (
            a[0] == {"path": "", "kind": "dict", "size": 2}
            and {"path": "tasks/T2", "value": 5} in a
            and {"path": "tasks/T1/raw", "value": {"$bytes": "aGk="}} in a
        ),
    ),
    "query": (["state.db", "queue", "F > 1"], lambda a: a == [2]),
    "dump": (["state.db", "queue"], lambda a: a == [1, 2]),
    "load": (["state.db", "x"], lambda a: a["path"] == "x" and a["bytes"] == 3),
    "check": (["state.db"], lambda a: a["ok"] and a["problems"] == []),
    "repair": (["state.db"], lambda a: a["ok"] and a["mended"] == []),
    "backup": (["state.db", "copy.db"], lambda a: a["nodes"] == 4),
    "restore": (["copy.db", "other.db"], lambda a: a["path"].endswith("other.db")),
    "copy": (["state.db", "whole.db"], lambda a: a["nodes"] == 4 and len(a["digest"]) == 32),
    "maintenance": (["state.db"], lambda a: a["bytes"] > 0),
    "doctor": (["state.db"], lambda a: "findings" in a),
    "collect": (["state.db"], lambda a: a == {"reclaimed": 0}),
    "why": (
        ["state.db", "tasks/T1"],
        lambda a: (
            a["reached"]
            and a["path"] == "tasks/T1"
            and [node["key"] for node in a["nodes"]] == [None, "tasks", "T1"]
        ),
    ),
    "stats": (["state.db"], lambda a: a["file"]["size_bytes"] > 0),
}


@pytest.mark.parametrize("verb", ANSWERS)
def test_an_answer_is_one_document(filled, verb):
    arguments, right = ANSWERS[verb]
    if verb == "restore":
        filled.run("backup", "state.db", "copy.db")
    done = subprocess.run(
        [filled.program, verb, *arguments, "--json"],
        cwd=filled.folder,
        input=b"[1]",
        capture_output=True,
        timeout=100,
    )
    assert done.returncode in ((0, 1) if verb == "doctor" else (0,)), done.stderr
    assert right(one(done.stdout.decode())), done.stdout
    assert done.stderr == b""


def test_details_of_ls(filled):
    assert one(filled.run("ls", "state.db", "tasks/T1", "-l", "--json")) == [
        {"key": "title", "kind": "str", "size": 5},
        {"key": "raw", "kind": "bytes", "size": 2},
    ]


def test_what_a_tree_leaves_out(filled):
    filled.set("many", json.dumps(list(range(30))))
    filled.set("shared", '{"a": {"$label": 1, "$dict": {}}, "b": {"$link": 1}}')
    tree = one(filled.run("tree", "state.db", "--json", "--width", "5"))
    assert {"path": "many", "more": 25} in tree
    assert [node for node in tree if "same_as" in node] == [
        {"path": "shared/b", "kind": "dict", "size": 0, "same_as": "shared/a"}
    ]


def test_streams_are_a_document_a_line(filled):
    lines = filled.run("top", "state.db", "--json", "-n", "2", "-i", "0.05").splitlines()
    assert [json.loads(line)["owners"] for line in lines] == [0, 0]
    serve = filled.start("serve", "state.db", "--port", "0", "--json", stdout=subprocess.PIPE)
    try:
        assert json.loads(serve.stdout.readline())["url"].startswith("http://127.0.0.1:")
    finally:
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(20) == 0
        serve.stdout.close()


@pytest.mark.parametrize(
    "arguments, status, code",
    [
        (["get", "state.db", "none", "--json"], 1, "not_found"),
        (["get", "none.db", "--json"], 2, "unavailable"),
        (["--json", "get"], 2, "usage"),
        (["get", "--json"], 2, "usage"),
        (["ls", "state.db", "tasks/T2", "--json"], 2, "usage"),
        (["set", "state.db", "x", "{", "--json"], 2, "usage"),
        (["doctor", "text", "--json"], 2, "foreign"),
        (["repair", "none.db", "--json"], 2, "unavailable"),
        (["watch", "none.db", "--json"], 2, "unavailable"),
    ],
)
def test_errors_are_documents_too(filled, arguments, status, code):
    filled.write("text", b"x" * 5000)
    out, err = filled.both(*arguments, status=status)
    assert out == ""
    error = one(err)
    assert error["code"] == code
    assert error["message"]
    assert set(error) == {"code", "message"}


def test_behind_two_dashes_it_is_a_value(filled):
    filled.run("set", "state.db", "x", "--string", "--", "--json")
    assert filled.get("x") == "--json"


def on_a_terminal(graven, *arguments, **environment):
    """What it writes where standard output and error are a terminal."""
    reading, terminal = pty.openpty()
    process = graven.start(
        *arguments,
        stdout=terminal,
        stderr=terminal,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "", **environment},
    )
    os.close(terminal)
    shown = b""
    while select.select([reading], [], [], 20)[0]:
        try:
            piece = os.read(reading, 65536)
        except OSError:  # its end, as Linux has it
            break
        if not piece:
            break
        shown += piece
    process.wait(20)
    os.close(reading)
    return shown


def test_colours_are_for_terminals(filled):
    os.chmod(filled.folder / "state.db", 0o666)
    assert b"\x1b[33mwarning" in on_a_terminal(filled, "doctor", "state.db")
    assert b"\x1b[31mgraven:" in on_a_terminal(filled, "get", "none.db")
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert b"\x1b" not in on_a_terminal(filled, "doctor", "state.db", **plain)
        assert b"\x1b" not in on_a_terminal(filled, "get", "none.db", **plain)
    assert "\x1b" not in filled.run("doctor", "state.db", status=1)
    assert "\x1b" not in filled.error("get", "none.db")
