# SPDX-License-Identifier: MIT
"""Links instead of copies: back-references, cycles, and what becomes of unlinked nodes."""

import contextlib
import tempfile
from pathlib import Path

from graven import DB, KeyNotFound


def main(path: Path) -> None:
    with DB(path) as db:
        # A structure that shares parts or contains itself is stored with the same shape.
        ada: dict = {"name": "Ada"}
        bob: dict = {"name": "Bob", "friend": ada}
        ada["friend"] = bob
        db["people"] = {"ada": ada, "bob": bob}
        assert db["people"]["ada"]["friend"]["friend"]["name"] == "Ada"

        # Assigning a handle links it.
        db["team"] = [db["people"]["ada"], db["people"]["ada"]]
        db["people"]["ada"]["name"] = "Ada L."
        assert db["team"][0]["name"] == "Ada L."
        assert db["people"]["ada"].refcount == 3  # people, bob, team
        assert db["people"]["ada"].backrefs[db["team"].uid] == 2

        # A node lives as long as a path from the root leads to it; why_alive() shows one.
        uid = db["people"]["ada"].uid
        del db["people"]
        assert db.why_alive(db.get_via_uid(uid)) == [db.uid, db["team"].uid, uid]

        # A handle keeps its node, too: readable and linkable after it was unlinked.
        kept = db["team"].pop()
        del db["team"]
        assert kept["friend"]["name"] == "Bob"
        db["archive"] = kept
        del kept

        # The last path gone, all of it goes, though its nodes still link each other.
        del db["archive"]
        db.collect()
        with contextlib.suppress(KeyNotFound):
            db.get_via_uid(uid)
            raise AssertionError("it should be gone")
        assert db.check().ok


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder) / "graph.db")
