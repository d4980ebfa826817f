# SPDX-License-Identifier: MIT
"""Checks that the library can live in a program beside another SQLite: it defines no symbol
named sqlite3*, and every one of its own SQLite is hidden.

    check_symbols.py LIBRARY...
"""

import subprocess
import sys


def output_of(*command: str) -> list[str]:
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()


def main() -> int:
    problems = []
    for library in sys.argv[1:]:
        renamed = 0
        # readelf -sW: Num Value Size Type Bind Vis Ndx Name
        for line in output_of("readelf", "-sW", library):
            fields = line.split()
            if len(fields) < 8 or not fields[0].endswith(":") or fields[4] == "LOCAL":
                continue
            section, name = fields[6], fields[7].split("@")[0]
            if name.startswith("sqlite3"):
                what = "refers to" if section == "UND" else "defines"
                problems.append(f"{library}: {what} {name}, which another SQLite may define")
            elif name.startswith("graven_sqlite3") and section != "UND":
                renamed += 1
                if fields[5] != "HIDDEN":
                    problems.append(f"{library}: {name} is not hidden")
        if renamed < 200 and library.endswith(".a"):
            problems.append(f"{library}: only {renamed} graven_sqlite3* symbols; where is SQLite?")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
