# SPDX-License-Identifier: MIT
"""graven.BulkImport: a large import in phases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from graven import _graven
from graven.errors import AbortedError

__all__ = ["BulkImport", "Phase"]

Row = TypeVar("Row")
Progress = Callable[[str, int, int], object]


class BulkImport(_graven.BulkImportBase):
    """The object of `with db.bulk_import() as session:`.

    Until the block ends, the store has settings for the import: a page cache of `cache_mb` MiB, no
    checkpoints, no time limit of transactions. These settings are not stored in the file. The end
    of the block, also by an exception, restores the settings, moves the WAL into the database,
    empties it, and updates the statistics of the query planner. Readers never wait.

        with db.bulk_import(progress=report) as session:
            with session.phase("people"):
                for row in session.each(rows, total=len(rows)):
                    people[row["id"]] = row

    abort(), from any thread, ends a phase between two rows and keeps what was written until then.
    Further phases raise AbortedError, which ends the session's block and is not raised from it.
    """

    def phase(self, name: str) -> Phase:
        """A context manager: its block is one transaction, rolled back on any exception."""
        return Phase(self, name)

    def each(self, rows: Iterable[Row], total: int = 0) -> Iterator[Row]:
        """Yields the rows until the last one or until abort() is called; reports progress."""
        done = 0
        for row in rows:
            if not self.advance(done, total):
                return
            yield row
            done += 1
        self.advance(done, total)

    def __enter__(self) -> BulkImport:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        # After an exception, for example Ctrl-C, do not wait for others again.
        self.finish(in_haste=error is not None and not isinstance(error, AbortedError))
        return self.aborted and isinstance(error, AbortedError)


class Phase:
    """One transaction of a bulk import."""

    def __init__(self, session: BulkImport, name: str) -> None:
        self._session = session
        self._name = name

    def __enter__(self) -> Phase:
        self._session.begin_phase(self._name)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session.end_phase(error is None)
