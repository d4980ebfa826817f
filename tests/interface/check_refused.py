# SPDX-License-Identifier: MIT
#
# check_refused.py INCLUDE COMPILER...: each line of refused.cpp with a comment at its end is one
# error of each compiler, with the words of the comment near it; no other line is one.

import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().with_name("refused.cpp")
LEADS = re.compile(r"In instantiation of|required from|In function|In file included from|^ +from ")
LINE = re.compile(r"refused\.cpp:(\d+):")


def errors(text):
    """What a compiler has said, one text for each error."""
    told = []
    before = []
    for line in text.splitlines():
        if re.search(r"\berror: ", line):
            told.append([*before, line])
            before = []
        elif LEADS.search(line):
            before.append(line)
        elif told:
            told[-1] += [*before, line]
            before = []
    return ["\n".join(lines) for lines in told]


def line_of(error, wanted):
    """The line that an error is about. clang does not name it where std::swap() is in between."""
    for line in error.splitlines():
        place = LINE.search(line)
        if place and "In file included" not in line:
            return int(place.group(1))
    return next((number for number, words in wanted.items() if words in error), 0)


def check(compiler, include, wanted):
    # gcc takes as many errors as there are, clang twenty.
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    limit = ["-ferror-limit=0"] if "clang" in version.stdout else []
    command = [compiler, "-std=c++20", "-fsyntax-only", "-fdiagnostics-color=never", *limit]
    command += ["-I", include]
    run = subprocess.run([*command, SOURCE], capture_output=True, text=True, check=False)
    found = {}
    wrong = []
    for error in errors(run.stderr):
        number = line_of(error, wanted)
        words = wanted.get(number)
        if words is None:
            wrong.append(f"line {number}: not expected:\n{error}")
        elif words not in error:
            wrong.append(f"line {number}: nothing of '{words}' in:\n{error}")
        found[number] = found.get(number, 0) + 1
    for number, words in wanted.items():
        if found.get(number, 0) != 1:
            wrong.append(f"line {number} ({words}): {found.get(number, 0)} errors instead of one")
    print(f"{compiler}: {len(wanted)} lines, {len(wrong)} of them wrong")
    for what in wrong:
        print(f"  {what[:600]}")
    return not wrong


def main():
    include, *compilers = sys.argv[1:]
    lines = SOURCE.read_text(encoding="utf-8").splitlines()
    wanted = {}
    for number, line in enumerate(lines, 1):
        tagged = re.search(r"; +// (.+)$", line)
        if tagged:
            wanted[number] = tagged.group(1)
    if len(wanted) < 50 or not compilers:
        sys.exit("check_refused.py: nothing to check")
    results = [check(compiler, include, wanted) for compiler in compilers]
    if not all(results):
        sys.exit(1)


main()
