# SPDX-License-Identifier: MIT
"""Queries: the children of a Dict or List that satisfy a condition.

    from graven import F

    for user in db["users"].where((F.age >= 18) & F.name.startswith("A")).order_by("-age"):
        print(user["name"])

F.age is a field of the rows, F.address.city a field below it, F["odd key"] one with any key, and F
itself the row. Conditions mean what they mean in Python over plain data, with these differences: a
missing field, and a field of what is no dict, reads as None; an error, such as None < 3, is no
match, also behind ~; dicts and lists are equal if they are the same stored node, and have no order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from graven import _graven
from graven.errors import BadValueError, UsageError, WrongTypeError
from graven.fields import Condition, F, Field, condition_of, text_of

__all__ = [
    "Aggregate",
    "Condition",
    "Explanation",
    "F",
    "Field",
    "Query",
    "avg",
    "count",
    "max",
    "min",
    "sum",
    "where",
]


class Aggregate(NamedTuple):
    """What group_by() computes of the rows of a group."""

    kind: str
    field: str


def count(field: str | Field = "") -> Aggregate:
    """The number of rows; with a field, of rows in which it is not None."""
    return Aggregate("count", text_of(field))


def sum(field: str | Field) -> Aggregate:  # noqa: A001
    """The sum of the numbers, exact for ints; None does not count."""
    return Aggregate("sum", text_of(field))


def min(field: str | Field) -> Aggregate:  # noqa: A001
    """The first value in the order of order_by(), without None; None if there is no other."""
    return Aggregate("min", text_of(field))


def max(field: str | Field) -> Aggregate:  # noqa: A001
    """The last value in the order of order_by(), without None; None if there is no other."""
    return Aggregate("max", text_of(field))


def avg(field: str | Field) -> Aggregate:
    """The mean of the numbers, a float; None if there are none."""
    return Aggregate("avg", text_of(field))


class Explanation(NamedTuple):
    """How a query was carried out."""

    plan: str
    """ "scan": every child was looked at in the store. "python": each was made a Python object."""
    condition: str
    """As Condition.parse() takes it; why, for "python"."""
    rows: int
    """Children that were looked at."""
    records: int
    """Entries of a large dict, nodes and large values that were read; 0 for "python"."""
    matches: int
    """Rows for which the condition was true."""

    def __str__(self) -> str:
        what = self.condition or "all"
        return (
            f"{self.plan} of {self.rows} rows ({self.records} records read), "
            f"{self.matches} matched: {what}"
        )


_Test = Callable[[Any], Any]


class Query:
    """A query over the values of a Dict or the items of a List; made by where().

    Nothing is read until results are asked for, and each time anew, from one state. Rows come in
    the container's order; dicts and lists among them are live handles, which may have changed when
    they are used. Each method but the last ones returns another Query.
    """

    __slots__ = ("_limit", "_offset", "_plan", "_test", "_uid")

    def __init__(self, plan: _graven.QueryPlan, uid: str) -> None:
        self._plan = plan
        self._uid = uid
        self._test: _Test | None = None
        # Also here for a test in Python, which comes before them.
        self._limit: int | None = None
        self._offset = 0

    def _with(self, plan: _graven.QueryPlan) -> Query:
        other = Query(plan, self._uid)
        other._test, other._limit, other._offset = self._test, self._limit, self._offset
        return other

    def where(self, condition: Condition | Field | _Test | None = None, /) -> Query:
        """The rows that satisfy this condition too."""
        if condition is None:
            return self._with(self._plan)
        known = condition_of(condition)
        if known is not None:
            return self._with(self._plan.where(known))
        if not callable(condition):
            raise WrongTypeError(
                "a condition is made from F, or a function of a row, "
                f"not {type(condition).__name__}: where(F.age >= 18)"
            )
        test: _Test = condition
        before = self._test
        other = self._with(self._plan)
        other._test = test if before is None else lambda row: before(row) and test(row)
        return other

    def order_by(self, *fields: str | Field) -> Query:
        """Orders by fields; "-age" orders backwards.

        None < numbers (NaN last) < text < bytes < dicts and lists; ties keep the container's order.
        Without a limit, what the matches are ordered by is kept in memory.
        """
        return self._with(self._plan.order_by([text_of(field) for field in fields]))

    def limit(self, count: int) -> Query:
        """No more rows than this."""
        other = self._with(self._plan)
        other._limit = _count(count, "limit")
        return other

    def offset(self, count: int) -> Query:
        """Leaves out the first rows."""
        other = self._with(self._plan)
        other._offset = _count(count, "offset")
        return other

    def _ready(self) -> _graven.QueryPlan:
        """The plan with everything that the core does."""
        if self._test is not None:
            return self._plan
        plan = self._plan.offset(self._offset) if self._offset else self._plan
        return plan if self._limit is None else plan.limit(self._limit)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """(key, value) of each row of a Dict, (index, value) of a List."""
        if self._test is not None:
            return ((key, value) for key, value, _ in self._tested(self._test))
        pages = self._ready().pages()
        return _each(lambda: pages.rows(True))

    def _tested(self, test: _Test) -> Iterator[tuple[Any, Any, Any]]:
        """(key, value, plain data) of each row for which the function is true."""
        pages = self._ready().pages()
        rows = (row for row in _each(pages.rows_and_plain) if _holds(test, row[2]))
        stop = None if self._limit is None else self._offset + self._limit
        return islice(rows, self._offset, stop)

    def __iter__(self) -> Iterator[Any]:
        if self._test is not None:
            return (value for _, value in self.items())
        pages = self._ready().pages()
        return _each(lambda: pages.rows(False))

    def keys(self) -> Iterator[Any]:
        """The key of each row of a Dict, the index of a List."""
        return (key for key, _ in self.items())

    def select(self, *fields: str | Field) -> Iterator[Any]:
        """Plain data: a dict with these fields for each row; without fields, the whole rows.

        "address.city" is a field of the dict in address; a missing field is None.
        """
        names = [text_of(field) for field in fields]
        if self._test is not None:
            rows = (plain for _, _, plain in self._tested(self._test))
            if not names:
                return rows
            return ({name: _at(row, name) for name in names} for row in rows)
        pages = self._ready().pages()
        if not names:
            return _each(pages.plain)
        columns = [_graven.parse_field(name) for name in names]
        return _each(lambda: pages.fields(columns))

    def count(self) -> int:
        """The number of rows."""
        if self._test is None:
            return self._ready().count()
        number = 0
        for _ in self:
            number += 1
        return number

    def exists(self) -> bool:
        """Whether there is a row."""
        if self._test is None:
            return self._ready().exists()
        return next((True for _ in self), False)

    def first(self) -> Any:
        """The first row; None if there is none."""
        if self._limit == 0:
            return None
        return next(iter(self.limit(1)), None)

    def group_by(self, *fields: str | Field, **aggregates: Aggregate) -> list[dict[str, Any]]:
        """A dict for each group of rows whose fields are equal, in the order of their first rows.

        db["cities"].where().group_by("country", n=graven.count(), total=graven.sum("size"))
        """
        given = []
        for name, aggregate in aggregates.items():
            if not isinstance(aggregate, Aggregate):
                raise WrongTypeError(
                    f"{name}: group_by() takes graven.count(), sum(), min(), max() and avg(), "
                    f"not {type(aggregate).__name__}"
                )
            given.append((name, (aggregate.kind, aggregate.field)))
        self._refuse_python("group_by()")
        return self._ready().group_by([text_of(field) for field in fields], given)

    def update(self, **fields: Any) -> int:
        """Sets fields in every row that matches, in one commit; returns the number of rows.

        The rows are found again in the writer's turn. Raises WrongTypeError if one is no dict.
        """
        self._refuse_python("update()")
        return self._ready().update(fields)

    def delete(self) -> int:
        """Removes every row that matches from the container, in one commit; returns the number."""
        self._refuse_python("delete()")
        return self._ready().erase()

    def explain(self) -> Explanation:
        """Runs the query and says how."""
        if self._test is None:
            return Explanation(*self._ready().explain())
        rows = self._plan.count()
        return Explanation("python", "a function is called for each row", rows, 0, self.count())

    def _refuse_python(self, what: str) -> None:
        if self._test is not None:
            raise UsageError(f"{what} needs a condition that is made from F, not a function")

    def __repr__(self) -> str:
        return f"<graven.Query of {self._uid}>"


def where(
    container: _graven.Dict | _graven.List, condition: Condition | Field | _Test | None = None
) -> Query:
    """The body of Dict.where() and List.where()."""
    return Query(_graven.QueryPlan(container), container.uid).where(condition)


def _count(count: int, what: str) -> int:
    if not isinstance(count, int) or isinstance(count, bool):
        raise WrongTypeError(f"{what}() takes an int, not {type(count).__name__}")
    if count < 0:
        raise BadValueError(f"{what}() takes a number of rows, not {count}")
    return count if count < 2**64 else 2**64 - 1


def _each(page: Callable[[], list[Any]]) -> Iterator[Any]:
    while rows := page():
        yield from rows


# Functions as conditions


class _Row(dict[str, Any]):
    """A plain dict whose fields are attributes too; a missing one is None."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __missing__(self, key: str) -> None:
        return None


def _row_of(plain: Any) -> Any:
    """Plain data with each dict as a _Row; shared parts and cycles stay as they are."""
    if not isinstance(plain, (dict, list)):
        return plain
    made: dict[int, Any] = {}
    waiting: list[tuple[Any, Any]] = []

    def twin(value: Any) -> Any:
        if not isinstance(value, (dict, list)):
            return value
        known = made.get(id(value))
        if known is None:
            known = made[id(value)] = _Row() if isinstance(value, dict) else []
            waiting.append((value, known))
        return known

    top = twin(plain)
    while waiting:
        source, target = waiting.pop()
        if isinstance(source, dict):
            target.update((key, twin(value)) for key, value in source.items())
        else:
            target.extend(twin(value) for value in source)
    return top


def _holds(test: _Test, plain: Any) -> bool:
    row = _row_of(plain)
    try:
        return bool(test(row))
    except (TypeError, AttributeError) as error:
        if isinstance(error, WrongTypeError):
            raise  # of F, used in the function
        return False


def _at(row: Any, name: str) -> Any:
    """The field of a plain row that a text means."""
    for step in _graven.parse_field(name).steps():
        if isinstance(step, str) and isinstance(row, dict):
            row = row.get(step)
        elif isinstance(step, int) and isinstance(row, list):
            row = row[step] if -len(row) <= step < len(row) else None
        else:
            return None
    return row
