# SPDX-License-Identifier: MIT
"""Several processes on one file: transactions, counters and retries that lose nothing."""

import multiprocessing
import tempfile
from pathlib import Path

from graven import DB

PROCESSES = 3
STEPS = 50


def work(path: Path, name: str) -> None:
    with DB(path) as db:
        for _ in range(STEPS):
            # All or nothing, and nobody in between.
            with db.transaction():
                db["log"].append({"ticket": db.incr("tickets"), "by": name})

            # Optimistic: tried again when someone else changed what it read.
            transactor = db.transactor()

            def add(transactor=transactor) -> None:
                transactor["total"] = transactor["total"] + 1

            transactor.transact(add)


def main(path: Path) -> None:
    with DB(path) as db:
        db["log"] = []
        db["total"] = 0

    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(path, f"p{i}")) for i in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0

    with DB(path) as db:
        assert db.count("tickets") == PROCESSES * STEPS
        assert sorted(entry["ticket"] for entry in db["log"]) == list(
            range(1, PROCESSES * STEPS + 1)
        )
        assert db["total"] == PROCESSES * STEPS
        assert db.check().ok
        print(f"{len(db['log'])} entries by {PROCESSES} processes, none lost")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder) / "shared.db")
