# SPDX-License-Identifier: MIT
"""Every verb: what it prints, what it refuses, and its exit status."""

import json
import re
import sqlite3

import pytest

TASKS = (
    '{"T1": {"title": "write", "done": false}, "T2": {"title": "read", "tags": ["a", "b", "c"]}}'
)


@pytest.fixture
def tasks(graven):
    graven.set("tasks", TASKS)
    return graven


def test_help_explains_every_verb(graven):
    overview = graven.run("--help")
    verbs = ["get", "set", "del", "ls", "tree", "dump", "load", "check", "collect", "why"]
    verbs += ["stats", "top", "serve"]
    for verb in verbs:
        assert re.search(rf"^  {verb} ", overview, re.M), verb
        text = graven.run(verb, "--help")
        assert f"graven {verb}" in text.split("Example", 1)[1], verb
    assert graven.run("--version").startswith("graven 0.")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["get"],
        ["get", "--nonsense", "x"],
        ["set", "state.db", "a"],
        ["tree", "state.db", "--depth", "x"],
        ["load", "state.db", "p", "f", "--batch", "0"],
    ],
)
def test_wrong_usage_is_status_2(graven, arguments):
    graven.error(*arguments)
    assert not (graven.folder / "state.db").exists()


def test_an_unknown_verb_is_named_with_the_nearest(graven):
    for verb, nearest in (
        ("gte", "get"),
        ("lod", "load"),
        ("maint", "maintenance"),
        ("colect", "collect"),
        ("delete", "del"),
    ):
        error = graven.error(verb, "state.db")
        assert f"there is no verb '{verb}'" in error and f"did you mean '{nearest}'?" in error
    assert "'graven --help' lists them" in graven.error("frobnicate")
    out, error = graven.both("lss", "state.db", "--json", status=2)
    assert out == "" and json.loads(error)["code"] == "usage"


def test_a_url_means_the_same_file_to_every_verb(graven):
    name, url = "a b%3f.db", "sqlite:///a%20b%253f.db"
    graven.run("set", url, "tasks", TASKS)
    assert (graven.folder / name).exists()
    for database in (url, url + "?mode=ro", "libsql:///a%20b%253f.db", name):
        assert graven.run("get", database, "tasks/T1/title", "--raw") == "write\n"
        assert graven.run("ls", database, "tasks") == "T1\nT2\n"
        for verb in ("tree", "dump", "check", "stats", "doctor"):
            graven.run(verb, database)
    for verb in ("collect", "maintenance"):
        graven.run(verb, url)
    graven.run("backup", url, "copy.db")
    graven.run("restore", "copy.db", "sqlite:///new%20one.db")
    assert (graven.folder / "new one.db").exists()
    assert "no database no such.db" in graven.error("get", "sqlite:///no%20such.db")
    assert "'%'" in graven.error("set", "sqlite:///a%2.db", "x", "1")


# get


def test_get(tasks):
    assert tasks.get() == {"tasks": json.loads(TASKS)}
    assert tasks.get("tasks/T1/title") == "write"
    assert tasks.get("/tasks/T2/tags/1") == "b"
    assert tasks.get("tasks/T2/tags/-1") == "c"
    assert tasks.run("get", "state.db", "tasks/T1/title", "--raw") == "write\n"
    assert tasks.run("get", "state.db", "tasks/T1/done", "--raw") == "false\n"
    assert (
        tasks.run("get", "state.db", "tasks/T1", "--compact") == '{"title":"write","done":false}\n'
    )
    assert (
        tasks.run("get", "state.db", "tasks/T1") == '{\n  "title": "write",\n  "done": false\n}\n'
    )


def test_get_raw_bytes(graven):
    graven.set("b", '{"$bytes": "AAH/"}')
    with graven.start("get", "state.db", "b", "-r", stdout=-1) as process:
        assert process.communicate()[0] == b"\x00\x01\xff"


def test_get_to_a_depth_shows_uids_and_why_takes_them(tasks):
    shown = json.loads(tasks.run("get", "state.db", "tasks", "--depth", "1"))
    uid = shown["T2"]["$node"]
    assert re.fullmatch(r"main:D[0-9A-Z]{26}", uid)
    out = tasks.run("why", "state.db", uid)
    assert out.startswith("tasks/T2\n")
    assert uid in out


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("nope", "no key 'nope' in the root"),
        ("tasks/T9", "no key 'T9' in tasks"),
        ("tasks/T2/tags/3", "no item 3 in tasks/T2/tags, a list of 3"),
        ("tasks/T2/tags/-4", "no item -4"),
        ("tasks/T2/tags/x", "'x' is not a number"),
        ("tasks/T1/title/x", "tasks/T1/title is a str and has nothing inside"),
        ("tasks/", "leave out the slash"),
    ],
)
def test_nothing_there_is_status_1(tasks, path, what):
    assert what in tasks.error("get", "state.db", path, status=1)
    assert what in tasks.error("del", "state.db", path, status=1)
    assert what in tasks.error("why", "state.db", path, status=1)


def test_a_missing_database_is_an_error_and_stays_missing(graven):
    for verb in ("get", "ls", "tree", "dump", "check", "collect"):
        assert "there is no database typo.db" in graven.error(verb, "typo.db")
    graven.error("del", "typo.db", "a")
    graven.error("why", "typo.db", "a")
    graven.error("set", "typo.db", "a/b", "1")
    assert list(graven.folder.iterdir()) == []


def test_files_that_are_not_gravens_are_refused_and_left_alone(graven):
    text = graven.write("notes.txt", "these are not the bytes you are looking for\n" * 100)
    other = str(graven.folder / "other.db")
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    connection.close()
    for name in (text, other):
        before = (graven.folder / name).read_bytes()
        for arguments in (["get", name], ["set", name, "a", "1"], ["check", name]):
            assert name.rsplit("/", 1)[-1] in graven.error(*arguments)
        assert (graven.folder / name).read_bytes() == before


# set and del


def test_set_takes_json(graven):
    for text in (
        "null",
        "true",
        "-5",
        "-0.5",
        "1e3",
        '"text"',
        "[1, [2]]",
        '{"a": {}}',
        "12345678901234567890",
    ):
        graven.set("x", text)
        assert graven.get("x") == json.loads(text)
    graven.set("x", "-7")
    assert graven.run("get", "state.db", "x") == "-7\n"
    assert graven.is_sound()


def test_set_refuses_what_is_not_json_and_says_how(graven):
    graven.set("x", "1")
    assert "--string" in graven.error("set", "state.db", "x", "hello")
    assert "--string" in graven.error("set", "state.db", "x", "hello world")
    assert "line 1, column 5" in graven.error("set", "state.db", "x", "[1, }")
    assert "lone surrogate" in graven.error("set", "state.db", "x", r'"\ud800"')
    assert "UTF-8" in graven.error(
        "set", "state.db", "x", "--string", "a\udcffb".encode("utf-8", "surrogateescape")
    )
    assert graven.get() == {"x": 1}


def test_set_string_and_standard_input(graven):
    graven.set("x", "hello", "--string")
    assert graven.get("x") == "hello"
    graven.set("x", "-5", "--string")
    assert graven.get("x") == "-5"
    graven.run("set", "state.db", "x", "-", stdin="[1,\n2]\n")
    assert graven.get("x") == [1, 2]
    graven.run("set", "state.db", "x", "-", "--string", stdin="two\nlines\n")
    assert graven.get("x") == "two\nlines\n"


def test_set_parents(graven):
    graven.set("top", "1")
    assert "--parents" in graven.error("set", "state.db", "a/b/c", "1", status=1)
    graven.set("a/b/c", "1", "--parents")
    graven.set("a/b/d", "2", "--parents")
    assert graven.get() == {"top": 1, "a": {"b": {"c": 1, "d": 2}}}
    graven.error("set", "state.db", "top/x/y", "1", "--parents", status=1)
    graven.error("set", "state.db", "top/x", "1", status=1)
    assert graven.get() == {"top": 1, "a": {"b": {"c": 1, "d": 2}}}


def test_set_in_lists(graven):
    graven.set("l", "[1, 2]")
    graven.set("l/0", '"first"')
    graven.set("l/-1", '{"last": true}')
    graven.set("l/-", "3")
    assert graven.get("l") == ["first", {"last": True}, 3]
    graven.error("set", "state.db", "l/3", "0", status=1)
    graven.error("set", "state.db", "l/x", "0", status=1)


def test_set_the_root(graven):
    graven.set("old", "1")
    graven.set("", '{"new": 2}')
    assert graven.get() == {"new": 2}
    assert "dict" in graven.error("set", "state.db", "", "[1]")
    graven.set("", '{"$label": 1, "$dict": {"me": {"$link": 1}, "also": [{"$link": 1}]}}')
    assert graven.dump().strip() == '{"$label":1,"$dict":{"me":{"$link":1},"also":[{"$link":1}]}}'
    graven.set("me/me/me/x", "1")
    assert graven.get("x") == 1
    assert graven.is_sound()


def test_del(tasks):
    tasks.run("del", "state.db", "tasks/T2/tags/0")
    assert tasks.get("tasks/T2/tags") == ["b", "c"]
    tasks.run("del", "state.db", "tasks/T1")
    assert list(tasks.get("tasks")) == ["T2"]
    tasks.error("del", "state.db", "")
    tasks.run("del", "state.db", "tasks")
    assert tasks.get() == {}
    assert json.loads(tasks.run("check", "state.db", "--json"))["nodes"] == 1


def test_odd_keys(graven):
    keys = ["", "a/b", "~", "~1", "two\nlines", "\x7f", "ä €", "$bytes", " ", "0", "-1", "-"]
    for number, key in enumerate(keys):
        segment = (
            key.replace("~", "~0").replace("/", "~1").replace("\n", "~x0a").replace("\x7f", "~x7f")
        )
        graven.set("/" + segment, str(number))
    assert graven.get() == {key: number for number, key in enumerate(keys)} or (
        graven.get() == {"$dict": {key: number for number, key in enumerate(keys)}}
    )
    listed = graven.run("ls", "state.db").split("\n")[:-1]
    assert len(listed) == len(keys)
    for number, segment in enumerate(listed):
        assert graven.get("/" + segment) == number
    assert json.loads(graven.run("ls", "state.db", "--json")) == keys
    assert "~1" in graven.error("get", "state.db", "a~b")


# ls, tree, why, check, collect


def test_ls(tasks):
    assert tasks.run("ls", "state.db") == "tasks\n"
    assert tasks.run("ls", "state.db", "tasks/T2/tags") == "0\n1\n2\n"
    long = tasks.run("ls", "state.db", "tasks/T2", "-l")
    assert [line.split() for line in long.splitlines()] == [
        ["str", "4", "title"],
        ["list", "3", "tags"],
    ]
    tasks.set("empty", "{}")
    assert tasks.run("ls", "state.db", "empty") == ""
    assert tasks.run("ls", "state.db", "empty", "--json") == "[]\n"
    assert "is a str" in tasks.error("ls", "state.db", "tasks/T1/title")


def test_tree(tasks):
    tasks.set("", '{"$label":1,"$dict":{"a":{"b":{"c":{"d":1}}},"up":{"$link":1},"l":[1,2,3,4]}}')
    assert tasks.run("tree", "state.db", "--depth", "2", "--width", "3") == (
        "state.db  {3}\n"
        "├─ a  {1}\n"
        "│  └─ b  {1}\n"
        "├─ up  {3}  = the root\n"
        "└─ l  [4]\n"
        "   ├─ 0  1\n"
        "   ├─ 1  2\n"
        "   ├─ 2  3\n"
        "   └─ … 1 more\n"
    )
    assert tasks.run("tree", "state.db", "l/0") == "l/0  1\n"
    assert tasks.run("tree", "state.db", "--depth", "0") == "state.db  {3}\n"


def test_why(tasks):
    out = tasks.run("why", "state.db", "tasks/T2/tags").splitlines()
    assert out[0] == "tasks/T2/tags"
    assert [line.split()[0] for line in out[1:]] == ["(root)", "tasks", "T2", "tags"]
    assert "it is kept as long as" in tasks.error("why", "state.db", "tasks/T1/title")
    assert "no node" in tasks.error("why", "state.db", "main:D" + "0" * 26, status=1)
    tasks.load('{"$label":1,"$dict":{}}', "x")
    tasks.load('[{"$label":1,"$dict":{}},{"$link":1}]', "twice")
    tasks.load(
        '[{"$label":1,"$list":[{"$label":2,"$dict":{}}]},[{"$link":2}],{"$link":1}]',
        "hub",
    )
    assert "1 other node links it too" in tasks.run("why", "state.db", "hub/1/0")


def test_check_and_collect(tasks):
    out = tasks.run("check", "state.db")
    assert out.startswith("state.db: sound\n")
    report = json.loads(tasks.run("check", "state.db", "--json"))
    assert report == {
        "ok": True,
        "nodes": 5,
        "links": 4,
        "held": 0,
        "reclaiming": 0,
        "problems": [],
    }
    assert tasks.run("collect", "state.db") == "0 nodes reclaimed\n"


def test_check_finds_damage(tasks):
    connection = sqlite3.connect(tasks.folder / "state.db")
    (name,) = connection.execute(
        "SELECT name FROM sqlite_master WHERE name LIKE '%node%' AND type = 'table'"
    ).fetchone()
    connection.execute(f"DELETE FROM {name} WHERE id = (SELECT max(id) FROM {name})")
    connection.commit()
    connection.close()
    out, _ = tasks.both("check", "state.db", status=1)
    assert "problem" in out
    out, _ = tasks.both("check", "state.db", "--json", status=1)
    report = json.loads(out)
    assert not report["ok"]
    assert report["problems"][0]["what"]


# Prefixes


def test_prefixes(graven):
    graven.set("where", '"main"')
    graven.set("where", '"other"', "--prefix", "other")
    assert json.loads(graven.run("get", "state.db", "where", "-p", "other")) == "other"
    assert json.loads(graven.run("get", "state.db", "where", "-p", "main")) == "main"
    for arguments in (["get", "state.db"], ["del", "state.db", "where"], ["collect", "state.db"]):
        message = graven.error(*arguments, "-p", "typo", status=1)
        assert "no prefix 'typo'" in message
        assert "main, other" in message or "other, main" in message


def test_a_store_without_main(graven):
    graven.set("x", "1", "--prefix", "shop")
    for arguments in (["get", "state.db"], ["ls", "state.db"], ["set", "state.db", "y", "1"]):
        message = graven.error(*arguments, status=1)
        assert "no prefix 'main'" in message and "'shop'" in message
    for verb in ("check", "stats", "collect", "doctor"):
        graven.run(verb, "state.db")
    assert json.loads(graven.run("get", "state.db", "-p", "shop")) == {"x": 1}


def test_urls(graven):
    graven.run("set", "sqlite:///state.db", "a", "1")
    assert graven.get("a") == 1
    assert graven.run("get", f"sqlite:///{graven.folder}/state.db", "a") == "1\n"
    assert graven.run("get", f"sqlite:////{str(graven.folder).lstrip('/')}/state.db", "a") == "1\n"
    graven.error("get", "nosuch://x")


def test_set_takes_objects_literally_where_it_is_told(graven):
    error = graven.error("set", "state.db", "a", '{"$bytes": 5}')
    assert "--plain" in error
    graven.set("a", '{"$bytes": 5}', "--plain")
    assert graven.run("get", "state.db", "a", "--compact") == '{"$dict":{"$bytes":5}}\n'
