# SPDX-License-Identifier: MIT
"""Makes the sdist, unpacks it, and builds and imports a wheel from it without a network:
whatever is not in the sdist (or in the build requirements) is missed here.

    sdist_test.py SOURCE WORK
"""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Optional

SOURCE, WORK = (Path(argument).resolve() for argument in sys.argv[1:3])
sys.path.insert(0, str(SOURCE / "scripts"))
from check_files import repository_files  # noqa: E402

# Nothing answers there: a download fails at once.
NOWHERE = "http://127.0.0.1:9"
OFFLINE = {
    "GRAVEN_NPM_REGISTRY": NOWHERE,
    "GRAVEN_PYPI_INDEX": NOWHERE,
    "http_proxy": NOWHERE,
    "https_proxy": NOWHERE,
    "PIP_NO_INDEX": "1",
}
EXPECTED = [
    "VERSION",
    "LICENSE",
    "include/graven/graven.hpp",
    "third_party_sources/sqlite3/sqlite3.c",
    "third_party_sources/sqlite3/sqlite3.h",
    "third_party_sources/libvalkey/src/read.c",
    "third_party_sources/libvalkey/COPYING",
    "third_party_sources/fmt/fmt/format.h",
    "third_party_sources/xxhash/xxhash.h",
    "python/src/graven/__init__.py",
    "python/src/graven/py.typed",
]


def run(*command: object, cwd: Path, extra: Optional[dict[str, str]] = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(extra or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        print(done.stdout)
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return done.stdout


def main() -> None:
    shutil.rmtree(WORK, ignore_errors=True)
    tree = WORK / "tree"
    for name in repository_files(SOURCE):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(SOURCE / name, tree / name)

    # The environment that runs this has the build requirements (scripts/requirements.txt).
    cache = os.environ.get("GRAVEN_DOWNLOAD_CACHE") or str(SOURCE / ".cache")
    build = [sys.executable, "-m", "build", "--no-isolation"]
    run(*build, "--sdist", "-o", WORK, ".", cwd=tree, extra={"GRAVEN_DOWNLOAD_CACHE": cache})
    (sdist,) = WORK.glob("graven-*.tar.gz")
    with tarfile.open(sdist) as archive:
        root = archive.getnames()[0].split("/")[0]
        missing = {f"{root}/{name}" for name in EXPECTED} - set(archive.getnames())
        if missing:
            sys.exit(f"the sdist lacks {sorted(missing)}")
        archive.extractall(WORK / "unpacked")  # noqa: S202 - our own archive
    shutil.rmtree(tree)

    unpacked = WORK / "unpacked" / root
    nothing_cached = {**OFFLINE, "GRAVEN_DOWNLOAD_CACHE": str(WORK / "empty")}
    run(*build, "--wheel", "-o", WORK, ".", cwd=unpacked, extra=nothing_cached)
    (wheel,) = WORK.glob("graven-*.whl")
    site = WORK / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", site]
    run(*install, wheel, cwd=WORK, extra=OFFLINE)
    program = (
        "import graven; db = graven.DB('memory://'); db['a'] = {'b': [1]}; "
        "assert db['a']['b'][0] == 1; print(graven.__file__)"
    )
    used = run(sys.executable, "-c", program, cwd=WORK, extra={"PYTHONPATH": str(site)})
    if str(site) not in used:
        sys.exit(f"imported another graven: {used}")
    shutil.rmtree(WORK)


main()
