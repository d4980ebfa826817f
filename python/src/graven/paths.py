# SPDX-License-Identifier: MIT
"""Paths from a root dict to a value, for all methods that take a path.

In a text the steps are separated by slashes, "tasks/T1/status"; in a step `/` is written `~1` and
`~` is written `~0`. A sequence has the steps unchanged, ["tasks", "T1", "status"]: keys, and
indexes of lists. "" and () are the root.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

from graven import _graven
from graven.errors import WrongTypeError

__all__ = ["Path", "steps_of", "text_of"]

Path = Union[str, Sequence[Union[str, int]]]

# Sequences that are not paths.
_NO_PATHS = (bytes, bytearray, memoryview, _graven.List)


def steps_of(path: Path) -> Sequence[str | int]:
    """The steps of a path. The steps of a text are str, also those that are indexes of lists."""
    return _graven.parse_path(path) if isinstance(path, str) else _checked(path)


def text_of(path: Path) -> str:
    """The same path as a text."""
    if isinstance(path, str):
        return path
    return _graven.format_path([str(step) for step in _checked(path)])


def _checked(path: Sequence[str | int]) -> Sequence[str | int]:
    steps = list(path) if isinstance(path, Sequence) and not isinstance(path, _NO_PATHS) else None
    if steps is None or not all(isinstance(each, (str, int)) for each in steps):
        kind = type(path).__name__ if steps is None else f"{type(path).__name__} of other things"
        raise WrongTypeError(
            f"a path is a str, 'tasks/T1', or a sequence of str and int, not a {kind}"
        )
    return steps
