# SPDX-License-Identifier: MIT
"""graven watch tells what others commit, and ends when it is to."""

import json
import signal
import subprocess

import pytest


@pytest.fixture
def filled(graven):
    graven.set("tasks", '{"T1": {"title": "write"}, "T2": 5}')
    graven.set("queue", "[1, 2]")
    return graven


class Watching:
    """A running `graven watch`, once it watches."""

    def __init__(self, graven, *arguments):
        self.process = graven.start(
            "watch",
            "state.db",
            *arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = self.process.stderr.readline()
        assert first.startswith("watching "), first

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)
        self.process.stdout.close()
        self.process.stderr.close()

    def line(self):
        return self.process.stdout.readline().rstrip("\n")


def test_each_change_is_a_line(filled):
    with Watching(filled, "tasks", "--count", "3") as watch:
        filled.set("tasks/T2", "6")
        assert watch.line() == "tasks/T2  6"
        filled.run("del", "state.db", "tasks/T2")
        assert watch.line() == "tasks/T2  deleted"
        filled.set("tasks/T3", '{"a": 1}')
        assert watch.line().startswith("tasks/T3  ")
        assert watch.process.wait(20) == 0


def test_as_json(filled):
    with Watching(filled, "tasks", "--json") as watch:
        filled.set("tasks/odd~1key", '{"a": [1, null]}')
        assert json.loads(watch.line()) == {"path": "tasks/odd~1key", "value": {"a": [1, None]}}
        filled.run("del", "state.db", "tasks/T1")
        assert json.loads(watch.line()) == {"path": "tasks/T1", "deleted": True}


def test_a_list_a_scalar_and_what_is_not_there_yet(filled):
    with Watching(filled, "queue", "--json", "-n", "1") as watch:
        filled.set("queue/-", "3")
        assert json.loads(watch.line()) == {"path": "queue", "value": [1, 2, 3]}
    with Watching(filled, "later", "-n", "1") as watch:
        filled.set("later", '"now"')
        assert watch.line() == 'later  "now"'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(filled, number):
    with Watching(filled, "tasks") as watch:
        watch.process.send_signal(number)
        assert watch.process.wait(20) == 0
        assert watch.process.stdout.read() == ""


def test_a_timeout_tells_whether_there_was_anything(filled):
    filled.both("watch", "state.db", "--timeout", "0.2", status=1)
    with Watching(filled, "tasks", "--timeout", "5") as watch:
        filled.set("tasks/T2", "7")
        assert watch.line() == "tasks/T2  7"
        assert watch.process.wait(30) == 0


def test_a_reader_that_goes_away_ends_it(filled):
    with Watching(filled, "tasks") as watch:
        watch.process.stdout.close()
        assert watch.process.wait(20) == -signal.SIGPIPE


def test_wrong_usage(filled):
    filled.error("watch", "none.db")
    filled.error("watch", "state.db", "--timeout", "-1")
    assert "~" in filled.error("watch", "state.db", "a~9")
