# SPDX-License-Identifier: MIT
"""graven.DB: opening a database, and the little of it that is Python."""

from __future__ import annotations

from typing import Any

from graven import _graven
from graven.bulk import BulkImport, Progress
from graven.options import Parameters, describe, takes
from graven.paths import Path
from graven.unflushed import has_opened, is_gone
from graven.watch import Watch

__all__ = ["DB"]


class DB(_graven.Database):
    """The root dict of one prefix (an independent keyspace) in one store.

    `path_or_url` is the path of a SQLite file (bytes where it is no text), `sqlite:///relative.db`,
    `sqlite:////absolute.db` or `memory://` (or `:memory:`); a URL may carry options by name, which
    win (`?mode=ro&pool_size=20`). Without one the environment names the store: DATABASE_URL, and
    those variables of options that are set.

    It is used like a dict: `db["person"] = {"name": "Ada"}`, `db["person"]["name"]`.
    Close it with close(), or use it in a with statement.

    A loop over a Dict or List goes over one state, whatever other threads and processes change;
    RuntimeError if the loop itself changes a Dict's size. The dicts and lists among its values are
    handles: over `d()` or `with db.snapshot() as s: s["d"]` none of them can be gone when it is
    come to.

    Open a lazy DB before the maps on its file. What nobody closes of it is flushed at the program's
    end, and where that fails, a line on sys.stderr says so.

    """

    _lazy: bool | None = None

    @takes(_graven.Database.__init__)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        has_opened(self, options.get("persist") == "lazy")

    __signature__ = Parameters(_graven.Database)

    def with_prefix(self, prefix: str) -> DB:
        """A DB on another prefix of the same store, to be closed for itself."""
        other = DB.__new__(DB)
        _graven.Database.__init__(other, self, prefix)
        has_opened(other, bool(self._lazy))
        return other

    def get_prefix(self) -> str:
        """The prefix this is the root dict of."""
        return self.prefix

    async def maintenance_async(self) -> str | None:
        """maintenance() in another thread, so that the event loop goes on."""
        import asyncio  # here, because it takes longer to import than all of graven

        return await asyncio.to_thread(self.maintenance)

    def bulk_import(self, cache_mb: int = 512, progress: Progress | None = None) -> BulkImport:
        """One large piece of writing, in phases; see BulkImport.

        progress: called with the phase's name, how much is done and of how much (0: unknown).
        """
        return BulkImport(self, cache_mb, progress)

    def watch(self, path: Path) -> Watch:
        """An iterator of the changes of what lies at a path, "a/b" or ["a", "b"]; see Watch."""
        return Watch(self, path)

    def wait(self, path: Path, timeout: float | None = None) -> bool:
        """Sleeps until what lies at a path changes; False after `timeout` seconds."""
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
        # Not closed here: handles that are still about may keep the database in use.
        is_gone(self, lambda: f"database {self.name!r}")


describe(DB, _graven.database_options())
