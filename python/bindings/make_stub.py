# SPDX-License-Identifier: MIT
"""Writes python/src/graven/_graven.pyi from the extension that `import graven` finds.

PYTHONPATH=build/dev/python build/venv/bin/python python/bindings/make_stub.py

A test fails when the committed stub says something else than the extension.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
STUB = HERE.parent / "src" / "graven" / "_graven.pyi"
PATTERNS = HERE / "stub_patterns.txt"


def generate() -> str:
    """The stub of the extension, as the generator formats it."""
    from nanobind.stubgen import StubGen, load_pattern_file

    from graven import _graven

    # The package presents these classes as its own; to the generator they are the extension's.
    classes = [each for each in vars(_graven).values() if isinstance(each, type)]
    presented = {each: each.__module__ for each in classes}
    try:
        for each in classes:
            each.__module__ = _graven.__name__
        generator = StubGen(module=_graven, patterns=load_pattern_file(str(PATTERNS)))
        generator.put(_graven)
        return "# SPDX-License-Identifier: MIT\n" + generator.get()
    finally:
        for each, module in presented.items():
            each.__module__ = module


def meaning(stub: str) -> list[str]:
    """The declarations of a stub, whatever their formatting and the order of imports."""
    body = ast.parse(stub).body
    imports = (ast.Import, ast.ImportFrom)
    names = {
        f"import {alias.name} as {alias.asname or alias.name}"
        for each in body
        if isinstance(each, imports)
        for alias in each.names
    }
    rest = [ast.unparse(each) for each in body if not isinstance(each, imports)]
    return sorted(names) + [line for each in rest for line in each.splitlines()]


def main() -> None:
    STUB.write_text(generate(), encoding="utf-8")
    ruff = Path(sys.executable).with_name("ruff")
    subprocess.run([ruff, "check", "--silent", "--fix", STUB], check=False)
    subprocess.run([ruff, "format", "--quiet", STUB], check=True)


if __name__ == "__main__":
    main()
