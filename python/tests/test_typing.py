# SPDX-License-Identifier: MIT
"""The stubs say what the extension has, and a typed program passes mypy --strict and runs."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from stub import make_stub

import graven

HERE = Path(__file__).resolve().parent


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    package = Path(graven.__file__).resolve().parents[1]
    if package.name != "site-packages":  # there mypy and the programs find it by themselves
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment |= {"PYTHONPATH": os.pathsep.join(paths), "MYPYPATH": str(package)}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, cwd=HERE.parent
    )


def test_the_stub_is_what_the_extension_has() -> None:
    pytest.importorskip("nanobind.stubgen")
    maker = make_stub()
    committed = maker.meaning(maker.STUB.read_text(encoding="utf-8"))
    generated = maker.meaning(maker.generate())
    difference = list(difflib.unified_diff(committed, generated, "committed", "extension", n=1))
    assert not difference, "\n".join(["run python/bindings/make_stub.py:", *difference])


def test_the_package_and_a_program_pass_mypy_strict() -> None:
    pytest.importorskip("mypy")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", os.devnull]
    for what in (["--package", "graven"], [str(HERE / "typing" / "program.py")]):
        done = run(*mypy, *what)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_program_runs(tmp_path: Path) -> None:
    done = run(
        sys.executable, "-W", "error", str(HERE / "typing" / "program.py"), str(tmp_path / "p.db")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == graven.__version__


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(graven.__file__).parent / "py.typed").exists()
