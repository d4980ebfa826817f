# SPDX-License-Identifier: MIT
"""Checks that the library can live in a program beside another SQLite, libvalkey or hiredis: it
defines no symbol named like theirs, and every one of its own copies is hidden.

    check_symbols.py LIBRARY...
"""

import re
import subprocess
import sys

# What graven has a copy of, with the least number of its symbols.
COPIES = {"SQLite": (r"sqlite3", 200), "libvalkey": (r"valkey|sds|ffc_|hex_digit_to_int", 40)}


def output_of(*command: str) -> list[str]:
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()


def main() -> int:
    problems = []
    for library in sys.argv[1:]:
        renamed = dict.fromkeys(COPIES, 0)
        # readelf -sW: Num Value Size Type Bind Vis Ndx Name
        for line in output_of("readelf", "-sW", library):
            fields = line.split()
            if len(fields) < 8 or not fields[0].endswith(":") or fields[4] == "LOCAL":
                continue
            section, name = fields[6], fields[7].split("@")[0]
            for copy, (pattern, _) in COPIES.items():
                if re.match(pattern, name):
                    what = "refers to" if section == "UND" else "defines"
                    problems.append(f"{library}: {what} {name}, which another {copy} may define")
                elif re.match(f"graven_({pattern})", name) and section != "UND":
                    renamed[copy] += 1
                    if fields[5] != "HIDDEN":
                        problems.append(f"{library}: {name} is not hidden")
        for copy, (_, least) in COPIES.items():
            if renamed[copy] < least and library.endswith(".a"):
                problems.append(f"{library}: only {renamed[copy]} symbols of {copy}; where is it?")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
