# SPDX-License-Identifier: MIT
"""Opens a peer's store in a process of its own, reads a key, and prints the seconds it took.

python -m peers.opening NAME PATH KEY        (in bench/)
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from . import embedded, engines


def main() -> int:
    name, path, key = sys.argv[1:]
    peer = next(p for p in embedded.PEERS + engines.PEERS if p.name == name)
    peer.load()
    begin = time.perf_counter()
    store = peer(Path(path), "normal" if "normal" not in peer.lacks else "full")
    store.read([key])
    print(time.perf_counter() - begin)
    store.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
