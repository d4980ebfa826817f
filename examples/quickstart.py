# SPDX-License-Identifier: MIT
"""Nested data that is still there the next time the program runs."""

import tempfile
from pathlib import Path

from graven import DB


def main(path: Path) -> None:
    with DB(path) as db:
        # Assign as to a dict; dicts and lists inside become nodes of their own.
        db["tasks"] = {
            "T1": {"title": "write", "done": False},
            "T2": {"title": "read", "tags": ["calm", "long"]},
        }
        # Every mutation is one atomic, durable step, however deep it goes.
        db["tasks"]["T1"]["done"] = True
        db["tasks"]["T2"]["tags"].append("evening")

    with DB(path) as db:
        assert db["tasks"]["T1"]["done"] is True
        assert db["tasks"]["T2"]["tags"][-1] == "evening"
        assert [task["title"] for task in db["tasks"].values()] == ["write", "read"]

        # Calling a handle gives plain data, detached from the database.
        plain = db["tasks"]["T2"]()
        assert plain == {"title": "read", "tags": ["calm", "long", "evening"]}
        assert type(plain["tags"]) is list

        # A repr starts with @ and never expands children.
        print(db["tasks"])

        del db["tasks"]["T1"]
        assert list(db["tasks"]) == ["T2"]
        assert db.check().ok


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder) / "state.db")
