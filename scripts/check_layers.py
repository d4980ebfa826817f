#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks who includes whom: the layers of HACKING.md, read from every #include.

    scripts/check_layers.py [--root DIRECTORY]

Prints one line per violation (file:line: what is wrong) and exits 1 when there is any. The
rules are the tables below; a new folder or a new third-party library needs a line in them,
which is the point. tests/layers plants violations of each kind and sees them found.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

SOURCE_SUFFIXES = {".c", ".h", ".cpp", ".hpp", ".ipp"}

# Folder of src/ -> folders of src/ it may include, besides itself. Each builds on those before it.
MAY_INCLUDE: dict[str, set[str]] = {
    "base": set(),
    "observe": {"base"},
    "port": {"base", "observe"},
    "cache": {"base", "observe", "port"},
    "store": {"base", "observe", "port", "cache"},
    "backends/lazy": {"base", "observe", "port"},
    "backends/memory": {"base", "observe", "port"},
    "backends/postgres": {"base", "observe", "port"},
    "backends/redis": {"base", "observe", "port"},
    "backends/sqlite": {"base", "observe", "port"},
    "graph": {"base", "observe", "port", "cache", "store"},
    "map": {"base", "observe", "port", "cache", "store"},
    "query": {"base", "observe", "port", "cache", "store", "graph", "map"},
    "keyspace": {"base", "observe", "port", "cache", "store", "map"},
    "integrity": {"base", "observe", "port", "cache", "store", "graph", "map"},
    "cli": {"serve"},
    "serve": set(),
}
USES_PUBLIC_ONLY = {"cli", "serve"}
# Encodings of texts and integers, which know no store: the programs and the bindings use them too.
ENCODINGS = {"base/integer.hpp", "base/text.hpp"}
# Files that may know every folder below the public headers, backends included.
KNOWS_ALL = {
    "src/integrity/backup_database.cpp",
    "src/integrity/check_database.cpp",
    "src/integrity/repair_database.cpp",
    "src/open.cpp",
}

# Third-party headers -> where they may be included: folders, or single files.
THIRD_PARTY = [
    (r"sqlite3(ext)?\.[ch]", {"src/backends/sqlite", "tests", "bench"}),
    (r"libpq-fe\.h", {"src/backends/postgres/libpq.hpp"}),
    # These are what the sdist carries of fmt (cmake/dependencies.cmake).
    (r"fmt/(core|format|format-inl)\.h", {"src", "tests", "bench"}),
    (r"fmt/.*", {"tests", "bench"}),
    (r"xxhash\.h|xxh3\.h", {"src/base", "tests", "bench"}),
    (r"(absl|tbb)/.*", {"bench"}),
    (r"CLI/.*", {"src/cli"}),
    (r"simdjson\.h", {"src/cli"}),
    # libvalkey's parser of the Redis protocol (cmake/libvalkey.cmake).
    (r"valkey/.*|(alloc|read|sds)\.c", {"src/backends/redis", "tests"}),
    (r"httplib\.h|spdlog/.*", {"src/serve"}),
    (r"openssl/.*", {"src/backends/redis", "src/serve", "tests"}),
    (r"nanobind/.*|Python\.h", {"python/bindings"}),
    (r"nlohmann/.*", {"include/graven/nlohmann.hpp", "tests", "examples", "bench"}),
    (r"(gtest|gmock)/.*", {"tests"}),
    (r"benchmark/.*", {"bench"}),
]

# System headers that are not the C++ library's: anywhere but in public headers.
SYSTEM = re.compile(
    r"((arpa|asm|linux|net|netinet|sys)/[\w/.]+"
    r"|cxxabi|dirent|dlfcn|endian|errno|fcntl|fnmatch|ftw|getopt|glob|grp|immintrin|libgen|limits|link"
    r"|mntent|netdb|poll|pthread|pwd|sched|semaphore|signal|spawn|stdint|stdlib|stdio|string|strings"
    r"|syslog|termios|time|ucontext|unistd|x86intrin|emmintrin|arm_neon)(\.h)?"
)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
BACKEND_NAMED = re.compile(
    r"\b(lazy|memory|postgres|redis|sqlite)::"
    r"|\bnamespace\s+(?:graven::)?(lazy|memory|postgres|redis|sqlite)\b"
)
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


class Violation(NamedTuple):
    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


def within(file: str, places: set[str]) -> bool:
    return any(file == place or file.startswith(place + "/") for place in places)


def third_party_places(header: str) -> Optional[set[str]]:
    for pattern, places in THIRD_PARTY:
        if re.fullmatch(pattern, header):
            return places
    return None


def folder_of(path: str) -> Optional[str]:
    """The folder that a path below src/ belongs to; None for files directly in it."""
    parts = path.split("/")[:-1]
    return "/".join(parts[: 2 if parts[0] == "backends" else 1]) if parts else None


def check_public_header(header: str, quoted: bool) -> Optional[str]:
    if header == "graven/nlohmann.hpp":
        return "<graven/nlohmann.hpp> is an optional component; only users include it"
    if header.startswith("graven/") and not quoted:
        return None
    if quoted or not re.fullmatch(r"[a-z_]+", header):
        return f"a public header includes only the standard library and <graven/...>, not {header}"
    return None


def check_internal(file: str, header: str, root: Path) -> Optional[str]:
    """An include in quotes from src/ or python/bindings/."""
    if header in ENCODINGS:
        return None
    if file.startswith("python/bindings/"):
        if (root / "python/bindings" / header).is_file():
            return None
        return f"the bindings use public headers only, not {header}"
    target = folder_of(header)
    if target == "graven":
        return f"a public header is included as <{header}>"
    if target not in MAY_INCLUDE:
        if target is None and (root / Path(file).parent / header).is_file():
            if Path(file).parent == Path("src"):
                return None  # both directly in src/
            return f'"{header}" must be written from src/, with its folder'
        return f'"{header}" is in no folder of src/'
    if file in KNOWS_ALL:
        if target in USES_PUBLIC_ONLY:
            return f"{target} is a program above the library; {file} must not include it"
        return None
    folder = folder_of(file.removeprefix("src/"))
    if folder is None:
        return f"only {', '.join(sorted(KNOWS_ALL))} may include folders of src/ from outside them"
    if target == folder or target in MAY_INCLUDE[folder]:
        return None
    if folder in USES_PUBLIC_ONLY:
        return f"{folder} uses public headers only, not {header}"
    return f"{folder} must not include {header}"


def check_include(file: str, quoted: bool, header: str, root: Path) -> Optional[str]:
    places = third_party_places(header)
    if places is not None:
        if within(file, places):
            return None
        return f"{header} may be included only in {', '.join(sorted(places))}"
    if file.startswith("include/graven/"):
        return check_public_header(header, quoted)
    if file.startswith(("tests/", "bench/", "fuzz/")):
        return None
    if file.startswith("examples/"):
        if quoted and not (root / Path(file).parent / header).is_file():
            return f"an example uses public headers only, not {header}"
        return None
    if quoted:
        return check_internal(file, header, root)
    if header == "graven/nlohmann.hpp":
        return "<graven/nlohmann.hpp> is an optional component; only users include it"
    if header.startswith("graven/"):
        return None
    if re.fullmatch(r"[a-z_0-9]+", header) or SYSTEM.fullmatch(header):
        return None
    return f"{header} is neither standard nor in this script's table of third-party headers"


def blank_out(text: str) -> str:
    """The text without comments and strings, line numbers kept."""
    return COMMENT_OR_STRING.sub(lambda m: "\n" * m.group(0).count("\n"), text)


def check_file(root: Path, path: Path) -> Iterator[Violation]:
    file = path.relative_to(root).as_posix()
    text = path.read_text(encoding="utf-8")
    folder = folder_of(file.removeprefix("src/")) if file.startswith("src/") else None
    if folder is not None and folder not in MAY_INCLUDE:
        yield Violation(file, 1, f"src/{folder} has no line in the table of layers")
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            message = check_include(file, match.group(1) == '"', match.group(2), root)
            if message:
                yield Violation(file, number, message)
    if folder is not None and not folder.startswith("backends/") and file not in KNOWS_ALL:
        for number, line in enumerate(blank_out(text).splitlines(), 1):
            named = BACKEND_NAMED.search(line)
            if named:
                name = named.group(1) or named.group(2)
                yield Violation(file, number, f"{folder} must not name the backend {name}")


def check_tree(root: Path) -> list[Violation]:
    violations: list[Violation] = []
    for top in ("include", "src", "python/bindings", "tests", "examples", "bench", "fuzz"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SOURCE_SUFFIXES and path.is_file():
                violations.extend(check_file(root, path))
    return violations


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    if not (root / "src").is_dir():
        parser.error(f"{root} has no src/")
    violations = check_tree(root)
    for violation in violations:
        print(violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
