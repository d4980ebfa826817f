# SPDX-License-Identifier: MIT
"""Reads and changes of the value at a path, for asyncio: in a DB, a transaction or a snapshot.

Always holds: a call uses the store in a thread, in one step.
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


# These functions run in a thread.


def _step(container: Any, step: str | int) -> Any:
    """The key or index that a step means in the container."""
    if not isinstance(container, graven.List) or not isinstance(step, str):
        return step
    index = _graven.parse_index(step)
    if index is None:
        raise WrongTypeError(f"{step!r} is not an index of a list")
    return index


def _node(root: Any, steps: Sequence[str | int]) -> Any:
    node = root
    for at, step in enumerate(steps):
        if not isinstance(node, (graven.Dict, graven.List)):
            raise WrongTypeError(f"there is no dict or list at {list(steps[:at])!r}")
        inside: Any = node  # it refuses a step of the wrong type
        node = inside[_step(node, step)]
    return node


def _along(root: Any, path: Path, steps: Sequence[str | int]) -> Any:
    """The value at `steps`, which are the first steps of `path` or all of them."""
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
    """Raises if the path is missing, but the root has a key of the same text."""
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
    """The root dict in one state. Nested dicts and lists are handles.

    A path is a text whose steps are separated by slashes, "tasks/T1", as in watch(), or a sequence
    of steps, ["tasks", "T1"]. If a key contains a slash, use a sequence, or write the slash as ~1.
    """

    def _place(self) -> tuple[Workers | None, Any]:
        """The threads that must do the current task's calls (None: any), and the object to call."""
        raise NotImplementedError

    async def _read(self, call: Callable[..., T], *arguments: Any) -> T:
        own, root = self._place()
        return await (own or readers).run(call, root, *arguments)

    async def get(self, path: Path, default: Any = None) -> Any:
        """The value at a path, or the default. A nested dict or list is returned as a handle, whose
        methods are synchronous: use it in run(), or link it elsewhere with set()."""
        return await self._read(_get, path, default)

    async def materialize(self, path: Path = ()) -> Any:
        """Everything at a path as plain, detached data of one state."""
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
        """The value of a counter; 0 if it is missing."""
        return await self._read(lambda root: int(root.count(counter)))


class Writing(Reading):
    """The same, with methods that write."""

    async def _write(self, call: Callable[..., T], *arguments: Any) -> T:
        own, root = self._place()
        return await (own or writers).run(call, root, *arguments)

    async def run(
        self,
        function: Callable[Concatenate[graven.DB, P], T],
        *arguments: P.args,
        **keywords: P.kwargs,
    ) -> T:
        """Calls function(db, ...) in a thread, with the synchronous DB."""
        context = contextvars.copy_context()
        return await self._write(lambda db: context.run(function, db, *arguments, **keywords))

    async def set(self, path: Path, value: Any) -> None:
        """Stores a value at a path; its container must exist."""
        await self._write(_set, path, value)

    async def delete(self, path: Path) -> None:
        """Removes the value at a path; KeyNotFound or IndexOutOfRange if there is none."""
        await self._write(_delete, path)

    async def pop(self, path: Path, *default: Any) -> Any:
        """Removes the value at a path and returns it, or the default."""
        return await self._write(_pop, path, *default)

    async def setdefault(self, path: Path, default: Any = None) -> Any:
        """Returns the value at a path, or stores the default and returns it, in one step."""

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
        """Adds to a counter and returns its new value; atomic across processes."""
        return await self._write(lambda root: int(root.incr(counter, by)))

    async def decr(self, counter: str, by: int = 1) -> int:
        """Subtracts from a counter and returns its new value."""
        return await self._write(lambda root: int(root.decr(counter, by)))
