# SPDX-License-Identifier: MIT
"""Paths: where something lies below a root dict, as every method that takes a path has them.

A text has its steps between slashes, "tasks/T1/status"; in a step `/` is written `~1` and `~` is
written `~0`. A sequence has each step as it is, ["tasks", "T1", "status"]: keys, and indexes of
lists. "" and () are the root.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

from graven import _graven
from graven.errors import WrongTypeError

__all__ = ["Path", "steps_of", "text_of"]

Path = Union[str, Sequence[Union[str, int]]]

# Sequences that say nothing of where something lies. A List is what lies there.
_NO_PATHS = (bytes, bytearray, memoryview, _graven.List)


def steps_of(path: Path) -> Sequence[str | int]:
    """The steps of a path; those of a text are all str, also where a list takes them as indexes."""
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
