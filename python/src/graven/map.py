# SPDX-License-Identifier: MIT
"""graven.Map: opening a map, its views, and the little else of it that is Python."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from graven import _graven
from graven.options import Parameters, describe, takes
from graven.unflushed import has_opened, is_gone

__all__ = ["Map"]


class Map(_graven.FlatMap):
    """A flat mapping from str to values, kept in a file and used like a dict.

    A value is a str, bytes, number, bool, None or plain nested data (dicts with str keys, lists),
    which is stored as one value: change it by assigning it anew. The keys are in order of their
    UTF-8 bytes. incr(), add() and update_with() change a key by what is there, without losing what
    others do meanwhile. A loop over a map may change and remove what is there; if it adds keys, its
    next step raises RuntimeError. Several maps live in one file, beside its DB, each under a name.
    Close it with close(), or use it in a with statement.

    In a transaction() of a DB on the same file, writes are part of it; a map that is lazy or in
    memory refuses them there with UsageError.

    """

    _lazy: bool | None = None

    @takes(_graven.FlatMap.__init__)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        has_opened(self, self.persist == "lazy")

    __signature__ = Parameters(_graven.FlatMap)

    def keys(self) -> KeysView[str]:
        """A live view of the keys: a set."""
        return MapKeys(self)

    def values(self) -> ValuesView[Any]:
        """A live view of the values."""
        return MapValues(self)

    def items(self) -> ItemsView[str, Any]:
        """A live view of the (key, value) pairs: a set."""
        return MapItems(self)

    def __enter__(self) -> Map:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Closed by what it is made of, as soon as no iterator uses it any more.
        is_gone(self, lambda: f"map {self.name!r} in {self.path!r}")


describe(Map, _graven.map_options())

# The sets' operators are those of the abstract classes; what is looked at is the map as it is.


class MapKeys(KeysView[str]):
    """The keys of a Map as they are now: a set."""

    _mapping: Map

    @property
    def mapping(self) -> Map:
        """The Map that this is a view of."""
        return self._mapping

    def __contains__(self, key: object) -> bool:
        return key in self._mapping

    def __iter__(self) -> Iterator[str]:
        return _graven.iterate_map(self._mapping, "keys")

    def __repr__(self) -> str:
        return f"MapKeys({list(self)!r})"


class MapValues(ValuesView[Any]):
    """The values of a Map as they are now."""

    _mapping: Map

    @property
    def mapping(self) -> Map:
        """The Map that this is a view of."""
        return self._mapping

    def __contains__(self, value: object) -> bool:
        return any(_same(each, value) for each in self)

    def __iter__(self) -> Iterator[Any]:
        return _graven.iterate_map(self._mapping, "values")

    def __repr__(self) -> str:
        return f"MapValues({list(self)!r})"


class MapItems(ItemsView[str, Any]):
    """The (key, value) pairs of a Map as they are now: a set."""

    _mapping: Map

    @property
    def mapping(self) -> Map:
        """The Map that this is a view of."""
        return self._mapping

    def __contains__(self, item: object) -> bool:
        if not (isinstance(item, tuple) and len(item) == 2):
            return False
        value = self._mapping.get(item[0], _MISSING)
        return value is not _MISSING and _same(value, item[1])

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return _graven.iterate_map(self._mapping, "items")

    def __repr__(self) -> str:
        return f"MapItems({list(self)!r})"


_MISSING = object()


def _same(stored: Any, value: object) -> bool:
    # A NaN equals itself in a container; which one was stored cannot be told any more.
    return bool(stored is value or stored == value or (stored != stored and value != value))
