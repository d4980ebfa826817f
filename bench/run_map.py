# SPDX-License-Identifier: MIT
"""Runs map_bench (the C++ cases, a table in bench/map_bench.cpp) and judges what it measured.

Writes build/bench/map.json.

    python bench/run_map.py build/release/bin/map_bench [--rounds 5] [--only TEXT]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", help="the map_bench that was built")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default 5)")
    parser.add_argument("--only", default="", help="only cases whose name holds this text")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="graven-bench-") as name:
        folder = Path(name)
        machine = figures.machine(folder)
        raw = folder / "map.json"
        command = [options.program, "--json", str(raw), "--folder", name]
        command += ["--rounds", str(options.rounds), "--only", options.only]
        subprocess.run(command, check=True)
        results = json.loads(raw.read_text())
    results["machine"] = machine
    for case in results["cases"]:
        figures.print_case(case)
    figures.write("map", results, part=bool(options.only))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
