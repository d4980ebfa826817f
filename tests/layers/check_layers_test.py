# SPDX-License-Identifier: MIT
"""Plants violations of every layer rule in a small tree and sees check_layers.py find them,
each in its line, and nothing else."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_layers.py"

# A tree without a violation; every case below adds one file to it.
CLEAN = {
    "include/graven/value.hpp": "#include <string>\n#include <graven/error.hpp>\n",
    "include/graven/nlohmann.hpp": "#include <nlohmann/json.hpp>\n#include <graven/value.hpp>\n",
    "src/base/hash.cpp": '#include <xxhash.h>\n#include <fmt/format.h>\n#include "base/hash.hpp"\n',
    "src/base/hash.hpp": "#include <cstdint>\n#include <sys/mman.h>\n",
    "src/port/backend.hpp": '#include "port/record.hpp"\n#include "base/hash.hpp"\n',
    "src/port/record.hpp": "#include <string>\n",
    "src/store/lane.hpp": '#include "port/backend.hpp"\n',
    "src/backends/sqlite/pool/pool.hpp": "#include <sqlite3.h>\n",
    "src/backends/sqlite/backend.cpp": '#include "backends/sqlite/pool/pool.hpp"\n'
    '#include "port/backend.hpp"\n',
    "src/backends/lazy/backend.hpp": '#include "port/record.hpp"\n#include "base/hash.hpp"\n',
    "src/graph/collector/links.cpp": '#include "store/lane.hpp"\n// sqlite:: is only talked about\n'
    'auto text = "sqlite::open";\n#include <graven/value.hpp>\n',
    "src/open.cpp": '#include "backends/sqlite/pool/pool.hpp"\n'
    '#include "backends/lazy/backend.hpp"\n'
    '#include "graph/collector/links.hpp"\n#include "url.hpp"\n',
    "src/url.hpp": "#include <graven/value.hpp>\n",
    "src/cli/main.cpp": '#include <CLI/CLI.hpp>\n#include <simdjson.h>\n#include "cli/dump.hpp"\n'
    '#include <graven/graven.hpp>\n#include "base/text.hpp"\n',
    "python/bindings/module.cpp": "#include <nanobind/nanobind.h>\n#include <graven/graven.hpp>\n"
    '#include "convert.hpp"\n#include "base/text.hpp"\n',
    "python/bindings/convert.hpp": "#include <Python.h>\n",
    "tests/backends/sqlite/pool_test.cpp": "#include <gtest/gtest.h>\n#include <sqlite3.h>\n"
    '#include "backends/sqlite/pool/pool.hpp"\n',
    "examples/tour.cpp": "#include <graven/nlohmann.hpp>\n#include <nlohmann/json.hpp>\n"
    '#include "scratch.hpp"\n',
    "examples/scratch.hpp": "#include <unistd.h>\n",
}

# (file, its text, the line of the violation, a piece of the message)
PLANTED = [
    ("src/base/a.hpp", '#include "port/record.hpp"\n', 1, "base must not include"),
    ("src/store/a.hpp", '\n#include "graph/collector/links.hpp"\n', 2, "store must not include"),
    ("src/store/a.hpp", '#include "backends/sqlite/pool/pool.hpp"\n', 1, "store must not include"),
    ("src/graph/a.cpp", '#include "backends/sqlite/pool/pool.hpp"\n', 1, "graph must not include"),
    ("src/graph/a.cpp", '#include "backends/lazy/backend.hpp"\n', 1, "graph must not include"),
    ("src/graph/a.cpp", "/* a\n b */ auto x = sqlite::open();\n", 2, "name the backend sqlite"),
    ("src/graph/a.cpp", "namespace graven::lazy { class B; }\n", 1, "name the backend lazy"),
    ("src/graph/a.cpp", "#include <sqlite3.h>\n", 1, "only in bench, src/backends/sqlite, tests"),
    ("src/map/a.cpp", '#include "graph/collector/links.hpp"\n', 1, "map must not include"),
    ("src/keyspace/a.cpp", '#include "graph/a.hpp"\n', 1, "keyspace must not include"),
    (
        "src/backends/sqlite/a.cpp",
        '#include "store/lane.hpp"\n',
        1,
        "must not include",
    ),
    (
        "src/backends/sqlite/a.cpp",
        '#include "backends/lazy/backend.hpp"\n',
        1,
        "must not include",
    ),
    ("src/backends/sqlite/pool/a.cpp", '#include "pool.hpp"\n', 1, "must be written from src/"),
    ("src/backends/sqlite/a.cpp", '#include "graven/value.hpp"\n', 1, "<graven/value.hpp>"),
    (
        "src/backends/lazy/a.cpp",
        '#include "graph/collector/links.hpp"\n',
        1,
        "must not include",
    ),
    (
        "src/backends/redis/a.cpp",
        '#include "backends/sqlite/pool/pool.hpp"\n',
        1,
        "must not include",
    ),
    ("src/observe/a.cpp", '#include "port/record.hpp"\n', 1, "observe must not include"),
    ("src/cache/a.cpp", '#include "store/lane.hpp"\n', 1, "cache must not include"),
    ("src/integrity/a.cpp", '#include "backends/lazy/backend.hpp"\n', 1, "integrity must not"),
    ("src/port/record.hpp", '#include "store/lane.hpp"\n', 1, "port must not include"),
    ("src/cli/a.cpp", '#include "base/hash.hpp"\n', 1, "cli uses public headers only"),
    ("src/serve/a.cpp", '#include "cli/main.hpp"\n', 1, "serve uses public headers only"),
    ("src/open.cpp", '#include "cli/dump.hpp"\n', 1, "above the library"),
    ("src/url.cpp", '#include "base/hash.hpp"\n', 1, "src/open.cpp may include"),
    ("src/graph/a.cpp", '#include "url.hpp"\n', 1, "no folder of src/"),
    ("src/version.cpp", '#include "base/hash.hpp"\n', 1, "src/open.cpp may include"),
    ("src/extra/a.cpp", "#include <string>\n", 1, "no line in the table"),
    ("src/graph/a.cpp", '#include "nowhere/a.hpp"\n', 1, "no folder of src/"),
    ("src/graph/a.cpp", "#include <fmt/chrono.h>\n", 1, "only in bench, tests"),
    ("src/graph/a.cpp", "#include <xxhash.h>\n", 1, "only in bench, src/base"),
    ("src/graph/a.cpp", "#include <CLI/CLI.hpp>\n", 1, "only in src/cli"),
    ("src/cli/a.cpp", "#include <httplib.h>\n", 1, "only in src/serve"),
    ("src/graph/a.cpp", "#  include <simdjson.h>\n", 1, "only in src/cli"),
    ("src/graph/a.cpp", "#include <nanobind/nanobind.h>\n", 1, "only in python/bindings"),
    ("src/graph/a.cpp", "#include <nlohmann/json.hpp>\n", 1, "only in"),
    ("src/graph/a.cpp", "#include <graven/nlohmann.hpp>\n", 1, "optional component"),
    ("src/graph/a.cpp", "#include <boost/any.hpp>\n", 1, "neither standard nor"),
    ("src/graph/a.cpp", "#include <gtest/gtest.h>\n", 1, "only in tests"),
    ("include/graven/a.hpp", "#include <sqlite3.h>\n", 1, "only in"),
    ("include/graven/a.hpp", "#include <fmt/format.h>\n", 1, "only in"),
    ("include/graven/a.hpp", '#include "base/hash.hpp"\n', 1, "standard library"),
    ("include/graven/a.hpp", "#include <unistd.h>\n", 1, "standard library"),
    ("include/graven/a.hpp", "#include <nlohmann/json.hpp>\n", 1, "only in"),
    ("include/graven/a.hpp", "#include <graven/nlohmann.hpp>\n", 1, "optional component"),
    ("python/bindings/a.cpp", '#include "graph/collector/links.hpp"\n', 1, "public headers only"),
    ("python/bindings/a.cpp", '#include "base/hash.hpp"\n', 1, "public headers only"),
    ("python/bindings/a.cpp", "#include <fmt/format.h>\n", 1, "only in"),
    ("examples/a.cpp", '#include "base/hash.hpp"\n', 1, "public headers only"),
    ("tests/graph/a.cpp", "#include <CLI/CLI.hpp>\n", 1, "only in src/cli"),
]


def check(files: dict[str, str]) -> "tuple[int, list[str]]":
    with tempfile.TemporaryDirectory() as directory:
        for name, text in files.items():
            path = Path(directory) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        done = subprocess.run(
            [sys.executable, SCRIPT, "--root", directory],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout.splitlines()


class CheckLayers(unittest.TestCase):
    def test_a_clean_tree_passes(self) -> None:
        self.assertEqual(check(CLEAN), (0, []))

    def test_every_planted_violation_is_found(self) -> None:
        for file, text, line, message in PLANTED:
            with self.subTest(file=file, text=text):
                code, output = check({**CLEAN, file: text})
                self.assertEqual(code, 1)
                self.assertEqual(len(output), 1, output)
                self.assertTrue(output[0].startswith(f"{file}:{line}: "), output)
                self.assertIn(message, output[0])


if __name__ == "__main__":
    unittest.main()
