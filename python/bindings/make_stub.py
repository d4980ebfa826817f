# SPDX-License-Identifier: MIT
"""Writes python/src/graven/_graven.pyi, and the table of docs/options.md, from the extension that
`import graven` finds.

PYTHONPATH=build/dev/python build/venv/bin/python python/bindings/make_stub.py

Tests fail when one of them, as committed, says something else than the extension.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
STUB = HERE.parent / "src" / "graven" / "_graven.pyi"
PATTERNS = HERE / "stub_patterns.txt"
OPTIONS = HERE.parents[1] / "docs" / "options.md"


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


def options_page(page: str) -> str:
    """docs/options.md with the table of the extension."""
    from graven import _graven
    from graven.options import default_of

    databases = {each["name"]: each for each in _graven.database_options()}
    maps = {each["name"]: each for each in _graven.map_options()}
    table = ["| option | of | default | what | environment |", "|---|---|---|---|---|"]
    for name, each in ({**databases, **maps} | databases).items():
        of = ", ".join(["DB"] * (name in databases) + ["Map"] * (name in maps))
        what = each["help"] + "; of the file" * each["of_file"]
        variable = f"`{each['variable']}`" * bool(each["variable"])
        table.append(f"| `{name}` | {of} | {default_of(each)} | {what} | {variable} |")
    return "\n".join([*page.partition("\n| option |")[0].rstrip().splitlines(), "", *table, ""])


def main() -> None:
    OPTIONS.write_text(options_page(OPTIONS.read_text(encoding="utf-8")), encoding="utf-8")
    STUB.write_text(generate(), encoding="utf-8")
    ruff = Path(sys.executable).with_name("ruff")
    subprocess.run([ruff, "check", "--silent", "--fix", STUB], check=False)
    subprocess.run([ruff, "format", "--quiet", STUB], check=True)


if __name__ == "__main__":
    main()
