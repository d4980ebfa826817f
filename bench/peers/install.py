# SPDX-License-Identifier: MIT
"""Makes build/bench-venv and installs each line of requirements.txt into it, as far as it goes.

Run with the interpreter graven's extension was built for. Writes build/bench-venv/installed.json:
for each peer null, or why it is not there. Quiet and quick when nothing has changed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent.parent / "build" / "bench-venv"


def required() -> list[str]:
    lines = (HERE / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def install(python: Path, requirement: str) -> str | None:
    """Why it could not be installed, in pip's last words; None when it could."""
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-q"]
    done = subprocess.run([*command, requirement], capture_output=True, text=True)
    if done.returncode == 0:
        return None
    words = [line.strip() for line in done.stderr.splitlines() if "ERROR" in line]
    return words[-1] if words else f"pip failed with {done.returncode}"


def main() -> int:
    stamp = FOLDER / "installed.json"
    wanted = {"interpreter": sys.version, "requirements": required()}
    if stamp.exists():
        have = json.loads(stamp.read_text())
        if all(have.get(key) == value for key, value in wanted.items()):
            return 0
    print(f"making {FOLDER.relative_to(Path.cwd())}", file=sys.stderr)
    venv.create(FOLDER, with_pip=True, clear=True)
    python = FOLDER / "bin" / "python"
    reasons = {}
    for requirement in required():
        name = requirement.split("==")[0]
        reasons[name] = install(python, requirement)
        if reasons[name]:
            print(f"  {requirement}: {reasons[name]}", file=sys.stderr)
    stamp.write_text(json.dumps({**wanted, "reasons": reasons}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
