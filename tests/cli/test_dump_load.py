# SPDX-License-Identifier: MIT
"""dump and load: exact round trips, NDJSON in batches, errors with their place, signals, pipes."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

ODD = [
    "{}",
    '{"a":[],"b":{},"c":[[],{}]}',
    '{"i":[0,-1,9223372036854775807,-9223372036854775808,9223372036854775808,-123456789012345678901234567890]}',
    '{"f":[0.0,-0.0,1.0,1e+300,5e-324,0.1,{"$float":"nan"},{"$float":"inf"},{"$float":"-inf"}]}',
    '{"s":["","\\u0000","\\u001f\\"\\\\\\n","ä€𝄞","{\\"$link\\":1}"]}',
    '{"b":[{"$bytes":""},{"$bytes":"AA=="},{"$bytes":"//79"}]}',
    '{"":{"":{"":null}},"$x":1," ":true}',
    '{"u":{"$dict":{"$bytes":"AA=="}},"v":{"$dict":{"$link":1,"$label":2}},"w":{"$dict":{"$dict":{"$dict":{"$node":1}}}}}',
    '{"$dict":{"$entry":["k",1],"z":2}}',
    '{"hub":{"$label":1,"$dict":{"n":1}},"again":[{"$link":1},{"$link":1}]}',
    '{"$label":1,"$dict":{"self":{"$link":1},"l":{"$label":2,"$list":[{"$link":2},{"$link":1}]}}}',
    '{"big":"' + "x" * 5000 + '","bytes":{"$bytes":"' + "AAAA" * 3000 + '"}}',
    json.dumps({f"key {i}": [i, {"n": i}] for i in range(2000)}, separators=(",", ":")),
    json.dumps({"l": list(range(3000))}, separators=(",", ":")),
]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_round_trip(graven, text):
    graven.load(text)
    dumped = graven.dump()
    assert dumped == text + "\n"
    graven.run("load", "copy.db", "-q", stdin=graven.dump("--indent", "3"))
    assert graven.dump(database="copy.db") == dumped
    lines = graven.dump("--ndjson")
    if lines:
        graven.run("load", "lines.db", "--ndjson", "-q", "--batch", "3", stdin=lines)
        assert graven.dump("--ndjson", database="lines.db") == lines
        if '"$label":1,"$dict":{"self"' not in text:  # a labelled root has other labels
            assert graven.dump(database="lines.db") == dumped
    for database in ("state.db", "copy.db"):
        assert graven.is_sound(database)


def test_depth(graven):
    deep = "[" * 100_000 + "]" * 100_000
    graven.load(deep, "deep")
    assert graven.dump("deep") == deep + "\n"
    assert len(graven.run("get", "state.db", "deep")) < 1_000_000
    graven.run("tree", "state.db")
    graven.run("del", "state.db", "deep")
    assert graven.is_sound()


def test_numbers_keep_every_digit(graven):
    digits = "".join(random.Random(1).choices("123456789", k=6000))
    graven.load(f"[{digits},-{digits}]", "n")
    assert graven.run("get", "state.db", "n/0").strip() == digits
    assert graven.run("get", "state.db", "n/1").strip() == "-" + digits


def test_dump_to_a_file_appears_whole(graven):
    graven.set("a", "1")
    graven.dump("-o", "out.json")
    assert (graven.folder / "out.json").read_text() == '{"a":1}\n'
    assert graven.error("dump", "state.db", "nope", "-o", "none.json", status=1)
    assert graven.error("dump", "state.db", "-o", "no/such/folder.json")
    assert sorted(p.name for p in graven.folder.glob("*.json*")) == ["out.json"]


def test_load_replaces_atomically(graven):
    graven.load('{"a": 1, "b": {"c": [2]}}')
    for bad, where in [
        ('{"a": 2,\n "b": oops}', "standard input: line 2, column 7 (byte 15)"),
        ('{"a": 2', "ends"),
        ("[1]\n[2]\n", "--ndjson"),
        ("", "no JSON value"),
        ('{"a": "\\ud800"}', "surrogate"),
        ("[1]", "root"),
        ('{"a": 1e999}', "largest float"),
    ]:
        message = graven.error("load", "state.db", stdin=bad)
        assert where in message, message
    assert "UTF-8" in graven.error("load", "state.db", stdin=b'{"a": "\xff"}')
    assert graven.get() == {"a": 1, "b": {"c": [2]}}
    message = graven.load('{"x": 1}', "b")
    assert "into b" in message
    assert graven.get() == {"a": 1, "b": {"x": 1}}
    graven.load("[3]", "p/q", "--parents")
    assert graven.get("p") == {"q": [3]}
    assert "--parents" in graven.error("load", "state.db", "no/where", stdin="1", status=1)
    assert graven.load('{"a": 1, "a": 2}') != ""
    assert graven.get() == {"a": 2}
    assert graven.load("{}", "--quiet") == ""


def test_load_files(graven):
    graven.write("data.json", '\ufeff{"x": [1, 2]}\n')
    graven.run("load", "state.db", "", "data.json")
    assert graven.get() == {"x": [1, 2]}
    assert "cannot open missing.json" in graven.error("load", "state.db", "", "missing.json")
    graven.write("bad.json", '{\n"a": [1,\n2,,3]}')
    assert "bad.json: line 3, column 3 (byte 13)" in graven.error(
        "load", "state.db", "", "bad.json"
    )
    assert "is a directory" in graven.error("load", "state.db", "", ".").lower()


def test_load_does_not_wait_for_a_terminal(graven):
    controller, terminal = os.openpty()
    done = subprocess.run(
        [graven.program, "load", "state.db", "data.json"],
        cwd=graven.folder,
        stdin=terminal,
        capture_output=True,
        timeout=60,
    )
    os.close(terminal)
    os.close(controller)
    assert done.returncode == 2
    assert b"graven load state.db data.json FILE" in done.stderr
    assert not (graven.folder / "state.db").exists()


def test_foreign_objects_need_plain(graven):
    text = '[{"$link": 5}, {"$bytes": "no"}, {"$ref": "#/a"}]'
    assert "--plain" in graven.error("load", "state.db", "x", stdin=text)
    graven.load(text, "x", "--plain")
    assert graven.dump("x") == '[{"$dict":{"$link":5}},{"$dict":{"$bytes":"no"}},{"$ref":"#/a"}]\n'


# NDJSON


def test_ndjson_into_lists_and_dicts(graven):
    graven.write(
        "rows.ndjson", "".join(f'{{"n": {i}}}\r\n' for i in range(25)) + "\n  \n" + '{"n": 25}'
    )
    _, err = graven.both("load", "state.db", "rows", "rows.ndjson", "--batch", "10")
    assert "26 lines" in err
    assert graven.get("rows") == [{"n": i} for i in range(26)]
    graven.run("load", "state.db", "rows", "rows.ndjson")
    assert len(graven.get("rows")) == 52
    graven.load(
        '{"id": "a", "v": 1}\n{"id": 7, "v": 2}\n{"id": "a", "v": 3}\n',
        "d",
        "--key",
        "id",
    )
    assert graven.get("d") == {"a": {"id": "a", "v": 3}, "7": {"id": 7, "v": 2}}
    graven.load('{"$entry": ["b", 1]}\n{"$entry": ["a", {}]}\n', "d", "--ndjson")
    assert list(graven.get("d")) == ["a", "7", "b"]
    assert graven.get("d/a") == {}
    graven.load('{"$entry": ["top", 1]}\n', "--ndjson")
    assert graven.get("top") == 1
    assert graven.is_sound()


def test_ndjson_of_no_lines_makes_what_is_missing(graven):
    graven.write("e.ndjson", "\n")
    graven.run("load", "state.db", "list", "e.ndjson")
    graven.run("load", "state.db", "dict", "e.ndjson", "--key", "id")
    assert graven.get() == {"list": [], "dict": {}}
    graven.set("list", "[1]")
    for path in ("list", "dict", ""):
        graven.run("load", "state.db", path, "e.ndjson")
    assert graven.get() == {"list": [1], "dict": {}}
    graven.set("number", "1")
    assert "number is an int" in graven.error("load", "state.db", "number", "e.ndjson")


def test_ndjson_keeps_what_lines_share(graven):
    shared = (
        '{"$label":1,"$dict":{"hub":true,"all":{"$link":0}}}\n'
        '[{"$link":1},{"$label":2,"$list":[{"$link":2}]}]\n'
        '{"$link":2}\n{"$link":1}\n{"$link":0}\n'
    )
    for batch in ("1", "2", "10"):
        name = f"b{batch}.db"
        graven.run("load", name, "--ndjson", "x", "--batch", batch, stdin=shared)
        assert graven.dump("x", "--ndjson", database=name) == shared
        assert graven.is_sound(name)


def test_ndjson_errors_name_the_line_and_keep_whole_batches(graven):
    lines = [f'{{"n": {i}}}' for i in range(100)]
    lines[57] = '{"n": }'
    text = "\n".join(lines) + "\n"
    offset = len("\n".join(lines[:57])) + 1 + 6
    message = graven.error("load", "state.db", "--ndjson", "x", "--batch", "20", stdin=text)
    assert f"standard input: line 58, column 7 (byte {offset})" in message
    assert "first 40 lines are loaded" in message
    assert "tail -n +41" in message
    assert graven.get("x") == [{"n": i} for i in range(40)]
    # Mended as the message says:
    lines[57] = '{"n": 57}'
    graven.load("\n".join(lines[40:]), "--ndjson", "x")
    assert graven.get("x") == [{"n": i} for i in range(100)]
    # In the first batch: nothing is made at all.
    graven.error("load", "fresh.db", "--ndjson", "x", stdin="1\n2\noops\n")
    assert not (graven.folder / "fresh.db").exists()


@pytest.mark.parametrize(
    ("text", "options", "what"),
    [
        ('{"$entry": ["a", 1]}\n2\n', [], "mixed"),
        ('1\n{"$entry": ["a", 1]}\n', ["l"], "mixed"),
        ("1\n", ["d"], "d is a dict"),
        ('{"$entry": ["a", 1]}\n', ["l"], "l is a list"),
        ("1\n", ["n"], "n is an int"),
        ("1\n", [], "the root is a dict"),
        ('{"a": 1}\n', ["--key", "id", "d"], "under 'id'"),
        ('{"id": [1]}\n', ["--key", "id", "d"], "under 'id'"),
        ('{"$link": 9}\n', ["l"], "has that label"),
    ],
)
def test_ndjson_refuses(graven, text, options, what):
    graven.load('{"d": {}, "l": [], "n": 1}')
    for batch in ("1", "100"):
        before = graven.dump()
        message = graven.error(
            "load", "state.db", "--ndjson", "--batch", batch, *options, stdin=text
        )
        assert what in message
        if batch == "100":
            assert graven.dump() == before


# Signals and pipes


def test_interrupted_load_leaves_whole_batches(graven):
    process = graven.start(
        "load", "state.db", "--ndjson", "x", "--batch", "50",
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    for i in range(120):
        process.stdin.write(b"%d\n" % i)
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (graven.folder / "state.db").exists() and process.poll() is None:
            done = subprocess.run(
                [graven.program, "get", "state.db", "x"], cwd=graven.folder, capture_output=True
            )
            if done.returncode == 0 and len(json.loads(done.stdout)) == 100:
                break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.stdin.close()
    message = process.stderr.read().decode()
    assert process.wait(30) == -signal.SIGINT
    process.stderr.close()
    assert "interrupted; the first 100 lines are loaded" in message
    assert graven.get("x") == list(range(100))
    assert graven.is_sound()


def test_a_reader_that_goes_away_ends_the_command_silently(graven):
    graven.load(json.dumps({"x": ["y" * 100] * 50_000}))
    process = graven.start("dump", "state.db", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == -signal.SIGPIPE
    process.stderr.close()
    assert graven.is_sound()


def test_a_full_disk_and_a_closed_output_are_errors(graven):
    graven.set("a", '"text"')
    before = (graven.folder / "state.db").read_bytes()
    if Path("/dev/full").exists():
        done = subprocess.run(
            f"{graven.program} get state.db a > /dev/full",
            shell=True,
            cwd=graven.folder,
            capture_output=True,
        )
        assert done.returncode == 2
        assert b"cannot write to standard output" in done.stderr
    for closing in (">&-", "<&- >&-", "<&- >&- 2>&-"):
        done = subprocess.run(
            f"{graven.program} get state.db a {closing}",
            shell=True,
            cwd=graven.folder,
            capture_output=True,
        )
        assert done.returncode == 2
        done = subprocess.run(
            f"{graven.program} set state.db b 1 {closing}",
            shell=True,
            cwd=graven.folder,
            capture_output=True,
        )
        assert done.returncode == 0
        graven.run("del", "state.db", "b")
    assert graven.get() == {"a": "text"}
    assert len(before) > 0
    assert graven.is_sound()


def test_no_progress_bar_without_a_terminal(graven):
    message = graven.load(json.dumps({str(i): "x" * 50 for i in range(20_000)}))
    assert "\r" not in message
    assert message.count("\n") == 1


def test_a_progress_bar_on_a_terminal(graven):
    graven.write(
        "rows.ndjson", "".join(f'{{"n": {i}, "text": "{"x" * 50}"}}\n' for i in range(400_000))
    )
    controller, terminal = os.openpty()
    process = graven.start(
        "load", "state.db", "x", "rows.ndjson", "--batch", "1000", stderr=terminal
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            piece = os.read(controller, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(controller)
    assert process.wait(60) == 0
    assert b"loading" in shown
    assert b"% [" in shown
    assert b"400,000 lines" in shown.split(b"\r")[-2] + shown.split(b"\r")[-1]
