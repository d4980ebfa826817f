# SPDX-License-Identifier: MIT
"""What lies at a path, for asyncio: reading and changing it, wherever it is looked at.

Always holds: what a call does with the store is done in a thread, as one step.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import graven
from graven import _graven
from graven.aio.workers import Workers, readers, writers
from graven.errors import IndexOutOfRange, KeyNotFound, UsageError, WrongTypeError
from graven.paths import Path, steps_of

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")

T = TypeVar("T")

_MISSING = object()


# What is done in a thread.


def _step(container: Any, step: str | int) -> Any:
    """The key or index that a step means there."""
    if not isinstance(container, graven.List) or not isinstance(step, str):
        return step
    index = _graven.parse_index(step)
    if index is None:
        raise WrongTypeError(f"{step!r} is no index of a list")
    return index


def _node(root: Any, steps: Sequence[str | int]) -> Any:
    node = root
    for at, step in enumerate(steps):
        if not isinstance(node, (graven.Dict, graven.List)):
            raise WrongTypeError(f"there is no dict or list at {list(steps[:at])!r}")
        inside: Any = node  # a step of the wrong type is for it to refuse
        node = inside[_step(node, step)]
    return node


def _along(root: Any, path: Path, steps: Sequence[str | int]) -> Any:
    """What the first steps of a path lead to, or all of them."""
    try:
        return _node(root, steps)
    except KeyNotFound as error:
        if "/" not in path if isinstance(path, str) else len(path) == 1:
            raise
        hint = f"; for a key that has a slash in it give [{path!r}]" * isinstance(path, str)
        raise KeyNotFound(f"{path!r}: there is no {error.args[0]!r} on the way{hint}") from None


def _at(root: Any, path: Path) -> Any:
    return _along(root, path, steps_of(path))


def _container(root: graven.Dict, path: Path) -> tuple[Any, Any]:
    steps = steps_of(path)
    if not steps:
        raise UsageError("the root itself cannot be replaced or removed")
    container = _along(root, path, steps[:-1])
    if not isinstance(container, (graven.Dict, graven.List)):
        raise WrongTypeError(f"there is no dict or list at {list(steps[:-1])!r}")
    return container, _step(container, steps[-1])


def _get(root: graven.Dict, path: Path, default: Any) -> Any:
    try:
        return _at(root, path)
    except (KeyNotFound, IndexOutOfRange):
        _refuse_a_key(root, path)
        return default


def _refuse_a_key(root: graven.Dict, path: Path) -> None:
    """Who is about to get a default for a path may have meant a key."""
    if isinstance(path, str) and "/" in path and path in root:
        raise UsageError(
            f"there is nothing at the path {path!r}, but a key of that text: give [{path!r}]"
        ) from None


def _materialize(root: graven.Dict, path: Path) -> Any:
    node = _at(root, path)
    return node() if isinstance(node, (graven.Dict, graven.List)) else node


def _set(root: graven.Dict, path: Path, value: Any) -> None:
    container, last = _container(root, path)
    container[last] = value


def _delete(root: graven.Dict, path: Path) -> None:
    container, last = _container(root, path)
    del container[last]


def _pop(root: graven.Dict, path: Path, *default: Any) -> Any:
    if len(default) > 1:
        raise WrongTypeError(f"pop() takes one default, not {len(default)}")
    try:
        container, last = _container(root, path)
        return container.pop(last)
    except (KeyNotFound, IndexOutOfRange):
        if not default:
            raise
        _refuse_a_key(root, path)
        return default[0]


class Reading:
    """The root dict as one sees it. Nested dicts and lists are handles on what is stored.

    A path is a text with the steps between slashes, "tasks/T1", as watch() takes it, or a sequence
    of them, ["tasks", "T1"]; a key that has a slash in it is given in the latter way, or with it
    written ~1.
    """

    def _place(self) -> tuple[Workers | None, Any]:
        """What the current task's calls are made on, and where if not anywhere."""
        raise NotImplementedError

    async def _read(self, call: Callable[..., T], *arguments: Any) -> T:
        own, root = self._place()
        return await (own or readers).run(call, root, *arguments)

    async def get(self, path: Path, default: Any = None) -> Any:
        """The value at a path, or the default. A nested dict or list comes as its handle, whose
        own methods are synchronous: for run() and for linking it elsewhere with set()."""
        return await self._read(_get, path, default)

    async def materialize(self, path: Path = ()) -> Any:
        """Everything at a path as plain, detached data, of one state."""
        return await self._read(_materialize, path)

    async def contains(self, path: Path) -> bool:
        """Whether there is something at a path."""
        return await self.get(path, _MISSING) is not _MISSING

    async def keys(self, path: Path = ()) -> list[str]:
        """The keys of the dict at a path."""
        return await self._read(lambda root: list(_at(root, path).keys()))

    async def size(self, path: Path = ()) -> int:
        """The length of the dict or list at a path."""
        return await self._read(lambda root: len(_at(root, path)))

    async def count(self, counter: str) -> int:
        """The value of a counter, 0 when missing."""
        return await self._read(lambda root: int(root.count(counter)))


class Writing(Reading):
    """The same, and changing it."""

    async def _write(self, call: Callable[..., T], *arguments: Any) -> T:
        own, root = self._place()
        return await (own or writers).run(call, root, *arguments)

    async def run(
        self,
        function: Callable[Concatenate[graven.DB, P], T],
        *arguments: P.args,
        **keywords: P.kwargs,
    ) -> T:
        """function(db, ...) in a thread, with the synchronous DB."""
        context = contextvars.copy_context()
        return await self._write(lambda db: context.run(function, db, *arguments, **keywords))

    async def set(self, path: Path, value: Any) -> None:
        """Stores a value; the container it goes into must be there."""
        await self._write(_set, path, value)

    async def delete(self, path: Path) -> None:
        """Removes what is at a path; KeyNotFound or IndexOutOfRange when there is nothing."""
        await self._write(_delete, path)

    async def pop(self, path: Path, *default: Any) -> Any:
        """Removes what is at a path and gives it, or the default."""
        return await self._write(_pop, path, *default)

    async def setdefault(self, path: Path, default: Any = None) -> Any:
        """The value at a path, or the default after storing it, in one step."""

        def setdefault(root: graven.Dict) -> Any:
            container, last = _container(root, path)
            return container.setdefault(last, default)

        return await self._write(setdefault)

    async def update(self, entries: Any, path: Path = ()) -> None:
        """Sets many entries of the dict at a path in one step."""
        await self._write(lambda root: _at(root, path).update(entries))

    async def append(self, path: Path, value: Any) -> None:
        """Appends to the list at a path."""
        await self._write(lambda root: _at(root, path).append(value))

    async def incr(self, counter: str, by: int = 1) -> int:
        """Adds to a counter and gives its new value; atomic across processes."""
        return await self._write(lambda root: int(root.incr(counter, by)))

    async def decr(self, counter: str, by: int = 1) -> int:
        """Subtracts from a counter and gives its new value."""
        return await self._write(lambda root: int(root.decr(counter, by)))
