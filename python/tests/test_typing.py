# SPDX-License-Identifier: MIT
"""The stubs say what the extension has, and a typed program passes mypy --strict and runs."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import graven

HERE = Path(__file__).resolve().parent
STUB = HERE.parent / "src" / "graven" / "_graven.pyi"
PATTERNS = HERE.parent / "bindings" / "stub_patterns.txt"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    # The package as the tests see it, for the programs started here too.
    package = str(Path(graven.__file__).resolve().parents[1])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MYPYPATH": package}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, cwd=HERE.parent
    )


def test_the_stub_is_what_the_extension_has(tmp_path: Path) -> None:
    pytest.importorskip("nanobind")
    made = tmp_path / "_graven.pyi"
    done = run(
        sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "graven._graven",
        "-p", str(PATTERNS), "-o", str(made),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    committed = STUB.read_text(encoding="utf-8").splitlines()
    generated = made.read_text(encoding="utf-8").splitlines()
    # The committed file has the licence line on top.
    difference = list(difflib.unified_diff(committed[1:], generated, "committed", "made now", n=1))
    assert not difference, "\n".join(
        ["copy what python -m nanobind.stubgen writes over the stub:", *difference]
    )


def test_a_program_passes_mypy_strict() -> None:
    pytest.importorskip("mypy")
    done = run(
        sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir",
        os.devnull, str(HERE / "typing" / "program.py"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_passes_mypy_strict() -> None:
    pytest.importorskip("mypy")
    done = run(
        sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir",
        os.devnull, "-p", "graven",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_program_runs(tmp_path: Path) -> None:
    done = run(
        sys.executable, "-W", "error", str(HERE / "typing" / "program.py"), str(tmp_path / "p.db")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == graven.__version__


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(graven.__file__).parent / "py.typed").exists()
