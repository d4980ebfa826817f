#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks each file of the repository: its licence line, its name, its length.

    scripts/check_files.py [--root DIRECTORY] [--report]

Every source file says `SPDX-License-Identifier: MIT` in its first line (after `#!`, if there is
one); names are snake_case and say what a file is for; a file much above 500 lines wants to be
two; nothing is left over from a merge; a path that a page names is there. --report lists the
longest files. Exits 1 when anything is wrong.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

LICENCE = "SPDX-License-Identifier: MIT"
CODE = {".c", ".h", ".cpp", ".hpp", ".ipp", ".py", ".pyi"}
# Besides code, what can carry a comment.
COMMENTED = CODE | {".cmake", ".in", ".sh", ".supp", ".toml", ".yaml", ".yml", ".ini", ".cfg"}
COMMENTED_NAMES = {"CMakeLists.txt", "Makefile", "requirements.txt"}
LEFTOVERS = (".orig", ".rej", "~")
LONG, TOO_LONG = 500, 600
HISTORY = {"CHANGELOG.md"}  # may name what is gone
NAMED_PATH = re.compile(
    r"`((?:bench|cmake|docs|examples|include|python|scripts|src|tests)/[\w./*-]+)`"
)
VAGUE = re.compile(r"(^|_)(utils?|utility|utilities|helpers?|manager|common|misc)(_|\.|$)")
SNAKE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")


def repository_files(root: Path) -> list[str]:
    """Every file that is, or is about to be, in the repository: without what git ignores."""
    if (root / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout.decode()
        names = set(filter(None, listed.split("\0")))
        return sorted(name for name in names if (root / name).is_file())
    skipped = {"build", "dist", ".cache", "third_party_sources", ".git"}
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file()
        and path.relative_to(root).parts[0] not in skipped
        and "__pycache__" not in path.parts
    )


def wants_licence(name: str, lines: list[str]) -> bool:
    base = name.rsplit("/", maxsplit=1)[-1]
    suffix = Path(base).suffix
    if base in COMMENTED_NAMES or suffix in COMMENTED:
        return True
    return bool(lines) and lines[0].startswith("#!")


def check_file(root: Path, name: str) -> Iterator[str]:
    if name.endswith(LEFTOVERS):
        yield f"{name}:1: left over by a tool"
        return
    try:
        lines = (root / name).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return  # test data
    base = name.rsplit("/", maxsplit=1)[-1]
    if wants_licence(name, lines):
        first = lines[1:2] if lines and lines[0].startswith("#!") else lines[:1]
        if not first or LICENCE not in first[0]:
            yield f"{name}:1: the first line must say {LICENCE}"
    if Path(base).suffix in CODE:
        if not SNAKE.fullmatch(base):
            yield f"{name}:1: file names are snake_case"
        # A .pyi is generated, one class after the other.
        if len(lines) > TOO_LONG and Path(base).suffix != ".pyi":
            yield f"{name}:{TOO_LONG}: {len(lines)} lines; split it (500 is the aim)"
    for part in name.split("/"):
        if VAGUE.search(part.lower()):
            yield f"{name}:1: '{part}' does not say what it is for"


def is_there(path: str, names: list[str]) -> bool:
    """Whether a path, which may be a folder or have stars, leads to any of the names."""
    folder = path.rstrip("/") + "/"
    return any(name.startswith(folder) or fnmatch(name, path) for name in names)


def check_page(root: Path, page: str, names: list[str]) -> Iterator[str]:
    """The paths in backquotes on a page of documentation."""
    for number, line in enumerate((root / page).read_text(encoding="utf-8").splitlines(), 1):
        for path in NAMED_PATH.findall(line):
            if not is_there(path, names):
                yield f"{page}:{number}: {path} is not there"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--report", action="store_true", help="list files above 400 lines")
    arguments = parser.parse_args()
    root = arguments.root
    names = repository_files(root)
    problems = [problem for name in names for problem in check_file(root, name)]
    for name in names:
        if name.endswith(".md") and name not in HISTORY:
            problems.extend(check_page(root, name, names))
    for problem in problems:
        print(problem)
    if arguments.report:
        lengths = [
            (len((root / name).read_bytes().splitlines()), name)
            for name in names
            if Path(name).suffix in CODE
        ]
        for length, name in sorted(lengths, reverse=True):
            if length > 400:
                print(f"{length:6} {name}" + ("  (long)" if length > LONG else ""))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
