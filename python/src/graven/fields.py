# SPDX-License-Identifier: MIT
"""F, the fields of the rows of a query, and conditions; see graven/query.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, NoReturn

from graven import _graven
from graven.errors import WrongTypeError

__all__ = ["Condition", "F", "Field", "condition_of", "text_of"]

_NO_TRUTH = (
    "a condition is looked at row by row and has no truth value here; write & | ~ for and, or, "
    "not, with each comparison in parentheses: (F.age >= 18) & (F.age < 65); for `in` write "
    "F.age.in_(...) or F.tags.contains(...)"
)


class Condition:
    """A test of a row; made from F. Join conditions with & and |, and invert them with ~."""

    __slots__ = ("_condition",)

    def __init__(self, condition: _graven.QueryCondition) -> None:
        self._condition = condition

    @staticmethod
    def parse(text: str) -> Condition:
        """The condition that a text means, as in `graven query`: 'age >= 18 and name == "Ada"'."""
        return Condition(_graven.parse_condition(text))

    def __and__(self, other: Condition | Field) -> Condition:
        right = condition_of(other)
        return NotImplemented if right is None else Condition(self._condition.both(right))

    def __rand__(self, other: Condition | Field) -> Condition:
        left = condition_of(other)
        return NotImplemented if left is None else Condition(left.both(self._condition))

    def __or__(self, other: Condition | Field) -> Condition:
        right = condition_of(other)
        return NotImplemented if right is None else Condition(self._condition.either(right))

    def __ror__(self, other: Condition | Field) -> Condition:
        left = condition_of(other)
        return NotImplemented if left is None else Condition(left.either(self._condition))

    def __invert__(self) -> Condition:
        return Condition(self._condition.inverted())

    def __bool__(self) -> NoReturn:
        raise WrongTypeError(_NO_TRUTH)

    def __repr__(self) -> str:
        return f"<graven.Condition {self._condition.text()}>"


class Field:
    """A field of the rows of a query; made from F. The names of its methods are no field names:
    write F["any"] for a field called any."""

    __slots__ = ("_field",)
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __init__(self, field: _graven.QueryField | None = None) -> None:
        self._field = _graven.QueryField() if field is None else field

    def __getattr__(self, name: str) -> Field:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Field(self._field.key(name))

    def __getitem__(self, key: str | int) -> Field:
        if isinstance(key, str):
            return Field(self._field.key(key))
        if isinstance(key, int) and not isinstance(key, bool):
            return Field(self._field.index(key))
        raise WrongTypeError(f"a field has a str key or an int index, not {type(key).__name__}")

    def _test(self, sign: str, value: Any) -> Condition:
        if isinstance(value, Field):
            return Condition(self._field.compare(sign, value._field))
        return Condition(self._field.test(sign, value))

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]
        return self._test("==", value)

    def __ne__(self, value: object) -> Condition:  # type: ignore[override]
        return self._test("!=", value)

    def __lt__(self, value: Any) -> Condition:
        return self._test("<", value)

    def __le__(self, value: Any) -> Condition:
        return self._test("<=", value)

    def __gt__(self, value: Any) -> Condition:
        return self._test(">", value)

    def __ge__(self, value: Any) -> Condition:
        return self._test(">=", value)

    def in_(self, values: Iterable[Any]) -> Condition:
        """Whether it equals one of the values."""
        return Condition(self._field.test_in(values))

    def startswith(self, start: str | bytes) -> Condition:
        """Of text with a str, of bytes with bytes."""
        return self._test("startswith", start)

    def endswith(self, end: str | bytes) -> Condition:
        """Of text with a str, of bytes with bytes."""
        return self._test("endswith", end)

    def contains(self, part: Any) -> Condition:
        """Whether `part in field`: a part of a text, an item of a list, a key of a dict."""
        return self._test("contains", part)

    def exists(self) -> Condition:
        """Whether there is such a field, even if it is None."""
        return Condition(self._field.exists())

    def is_none(self) -> Condition:
        """Whether it is None or missing."""
        return Condition(self._field.is_none())

    def any(self, condition: Condition | Field) -> Condition:
        """Whether the condition is true for an item of this list; in it, F is the item."""
        inner = condition_of(condition)
        if inner is None:
            raise WrongTypeError("any() takes a condition: F.tags.any(F == 'x')")
        return Condition(self._field.any(inner))

    def __and__(self, other: Condition | Field) -> Condition:
        return Condition(self._field.truth()) & other

    def __or__(self, other: Condition | Field) -> Condition:
        return Condition(self._field.truth()) | other

    def __invert__(self) -> Condition:
        """Whether its value is false as in Python."""
        return Condition(self._field.truth().inverted())

    def __bool__(self) -> NoReturn:
        raise WrongTypeError(_NO_TRUTH)

    def __contains__(self, value: object) -> NoReturn:
        raise WrongTypeError(_NO_TRUTH)

    def __iter__(self) -> NoReturn:
        raise WrongTypeError(
            "a field of a query is not iterable; use any() for the items of a list"
        )

    def __repr__(self) -> str:
        text = self._field.text()
        return text if text.startswith("F") else f"F{text}" if text[0] == "[" else f"F.{text}"


F = Field()


def condition_of(value: object) -> _graven.QueryCondition | None:
    """The condition that an argument means; None if it is none."""
    if isinstance(value, Condition):
        return value._condition
    return value._field.truth() if isinstance(value, Field) else None


def text_of(field: str | Field) -> str:
    """The text of a field that an argument means."""
    if isinstance(field, Field):
        return field._field.text()
    if isinstance(field, str):
        return field
    raise WrongTypeError(f"a field is given as a str or by F, not as {type(field).__name__}")
