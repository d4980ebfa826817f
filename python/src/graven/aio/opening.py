# SPDX-License-Identifier: MIT
"""Opens a graven.DB or graven.Map for asyncio: opens and closes it in a thread."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union

import graven
from graven.aio.workers import close, finished, writers, writing
from graven.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T", bound=Union[graven.DB, graven.Map])


class Opening(Generic[T]):
    """Takes the same arguments as the class that it opens."""

    _kind: str
    _shown: str

    def __init__(self, opens: Callable[..., T], *arguments: Any, **options: Any) -> None:
        inspect.signature(opens).bind(*arguments, **options)  # TypeError here rather than later
        self._make = functools.partial(opens, *arguments, **options)
        self._opened: T | None = None

    @classmethod
    async def open(cls, *arguments: Any, **options: Any) -> Self:
        """Returns an object that is open."""
        return await cls(*arguments, **options).__aenter__()

    async def __aenter__(self) -> Self:
        if self._opened is not None:
            raise UsageError(f"this {self._kind} has been opened already")
        self._opened = await writing().run(self._make, drop=close)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    @property
    def _sync(self) -> T:
        if self._opened is None:
            raise UsageError(
                f"open the {self._kind} first: async with, or await {self._shown}.open(...)"
            )
        return self._opened

    async def close(self) -> None:
        """Flushes, and closes this object and its handles. Calling it again does nothing."""
        if self._opened is not None and not self._opened.closed:
            await finished(writers.run(self._opened.close))

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._opened is not None and self._opened.closed
