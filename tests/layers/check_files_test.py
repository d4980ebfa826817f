# SPDX-License-Identifier: MIT
"""Plants files that break each rule of check_files.py and sees them found, and nothing else."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_files.py"
MARK = "SPDX-License-Identifier: MIT"

# name -> (text, the expected complaint or nothing)
CASES = {
    "src/base/hash.cpp": (f"// {MARK}\n", None),
    "src/base/bare.cpp": ("int x;\n", "first line must say"),
    "src/base/late.hpp": (f"\n// {MARK}\n", "first line must say"),
    "src/base/empty.cpp": ("", "first line must say"),
    "src/base/other.cpp": ("// SPDX-License-Identifier: GPL-2.0-only\n", "first line must say"),
    "src/base/CamelCase.cpp": (f"// {MARK}\n", "snake_case"),
    "src/base/string_util.cpp": (f"// {MARK}\n", "what it is for"),
    "src/common/hash.cpp": (f"// {MARK}\n", "what it is for"),
    "src/base/long.cpp": (f"// {MARK}\n" + "int x;\n" * 620, "split it"),
    "src/base/CMakeLists.txt": ("target_sources()\n", "first line must say"),
    "scripts/run": (f"#!/bin/sh\n# {MARK}\n", None),
    "scripts/walk": ("#!/bin/sh\nexit 0\n", "first line must say"),
    "src/base/hash.cpp.orig": (f"// {MARK}\n", "left over"),
    "python/a.py": ("import sys\n", "first line must say"),
    "docs/page.md": ("`src/base/hash.cpp`, `src/base/`, `src/base/ha*.cpp`, `src/<x>`\n", None),
    "docs/stale.md": ("\nsee `src/base/gone.cpp`\n", "src/base/gone.cpp is not there"),
    "CHANGELOG.md": ("`src/base/gone.cpp`\n", None),
    "data.json": ("{}\n", None),
    "tests/blob": ("\x00\x01", None),
    "build/x.cpp": ("generated\n", None),
}


class CheckFiles(unittest.TestCase):
    def test_each_rule_is_enforced_and_nothing_else(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            for name, (text, _) in CASES.items():
                path = Path(directory) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            done = subprocess.run(
                [sys.executable, SCRIPT, "--root", directory],
                stdout=subprocess.PIPE,
                text=True,
            )
        found = {line.split(":", maxsplit=1)[0]: line for line in done.stdout.splitlines()}
        expected = {name: wanted for name, (_, wanted) in CASES.items() if wanted}
        self.assertEqual(done.returncode, 1)
        self.assertEqual(set(found), set(expected), done.stdout)
        for name, wanted in expected.items():
            self.assertIn(wanted, found[name])


if __name__ == "__main__":
    unittest.main()
