# SPDX-License-Identifier: MIT
"""The man page and the completions, made by the command: all of it is in them, and they work."""

import re
import shutil
import subprocess

import pytest


def verbs_of(graven):
    text = graven.run("--help").split("Subcommands:")[1]
    return re.findall(r"^  ([a-z]+) ", text, re.M)


def options_of(graven, verb):
    names = re.findall(r"^  (-[^ ]+)", graven.run(verb, "--help"), re.M)
    return [name for group in names for name in group.split(",")]


@pytest.mark.parametrize("page", ["man", "bash", "zsh"])
def test_every_verb_and_option_is_there(graven, page):
    text = graven.run("--generate", page).replace("\\-", "-")
    verbs = verbs_of(graven)
    assert len(verbs) > 18
    start = {"man": '.SS "graven {}', "bash": "        {}) options=", "zsh": "        {})\n"}[page]
    for verb in verbs:
        assert start.format(verb) in text, verb
        part = text.split(start.format(verb), 1)[1]
        part = part.split({"man": ".SS", "bash": ";;", "zsh": ";;"}[page], 1)[0]
        options = options_of(graven, verb)
        assert "--help" in options
        for option in options:
            assert re.search(re.escape(option) + r"(?![\w-])", part), (verb, option)


def test_the_man_page_is_clean(graven):
    if shutil.which("groff") is None:
        pytest.skip("no groff here")
    page = graven.write("graven.1", graven.run("--generate", "man"))
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-P-c", page],
        cwd=graven.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    shown = re.sub(".\b", "", done.stdout)
    assert "graven get DATABASE [PATH]" in shown
    assert "  graven set state.db tasks/T1/done true" in shown
    assert '{"$bytes": "aGk="}' in shown


class Bash:
    """The completion, loaded into a real bash."""

    def __init__(self, graven):
        self.graven = graven
        self.script = graven.write("completion", graven.run("--generate", "bash"))

    def complete(self, *words):
        program = (
            'source ./completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _graven; '
            "printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        done = subprocess.run(
            ["bash", "-uc", program, "bash", self.graven.program, *words],
            cwd=self.graven.folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return [line for line in done.stdout.split("\n") if line]


@pytest.fixture
def bash(graven):
    graven.set("tasks", '{"T1": {"title": "x"}, "T2": {}, "odd/key": 1, "a b": 2}')
    graven.set("table", "1")
    return Bash(graven)


def test_bash_completes_verbs_options_and_files(bash):
    assert bash.complete("ba") == ["backup"]
    assert "--version" in bash.complete("--v")
    assert bash.complete("tree", "--d") == ["--depth"]
    assert bash.complete("get", "sta") == ["state.db"]
    assert bash.complete("dump", "state.db", "-o", "sta") == ["state.db"]
    assert bash.complete("tree", "state.db", "--depth", "") == []
    assert bash.complete("set", "state.db", "tasks", "") == []
    assert bash.complete("nonsense", "") == []


def test_bash_completes_keys(bash):
    assert bash.complete("get", "state.db", "ta") == ["tasks", "table"]
    assert bash.complete("get", "--compact", "state.db", "tasks/T") == ["tasks/T1", "tasks/T2"]
    assert bash.complete("tree", "--depth", "2", "state.db", "tasks/T1/") == ["tasks/T1/title"]
    assert bash.complete("why", "state.db", "tasks/o") == ["tasks/odd~1key"]
    assert bash.complete("get", "state.db", "tasks/a") == ["tasks/a\\ b"]
    assert bash.complete("get", "none.db", "t") == []


def test_zsh_can_read_it(graven):
    if shutil.which("zsh") is None:
        pytest.skip("no zsh here")
    script = graven.write("_graven", graven.run("--generate", "zsh"))
    subprocess.run(["zsh", "-n", script], cwd=graven.folder, check=True)


def test_wrong_format(graven):
    graven.error("--generate", "html")
