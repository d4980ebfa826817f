# SPDX-License-Identifier: MIT
"""List does all that list does."""

from __future__ import annotations

import itertools
import operator
import random
from collections.abc import MutableSequence, Sequence

import pytest

import graven


def make(db: graven.DB, items: list[object]) -> graven.List:
    db["l"] = items
    made = db["l"]
    assert isinstance(made, graven.List)
    return made


def test_reading_and_writing(db: graven.DB) -> None:
    items = make(db, [1, [2], {"three": 3}])
    assert items[0] == 1
    assert items[-1]["three"] == 3
    items[-1] = 4
    items[0] = [5]
    assert items() == [[5], [2], 4]
    del items[1]
    del items[-1]
    assert items() == [[5]]
    assert len(items) == 1
    assert items
    items.clear()
    assert not items


@pytest.mark.parametrize("index", [3, -4, 10**6, 2**70, -(2**70)])
def test_indexes_out_of_range_raise_what_list_raises(db: graven.DB, index: int) -> None:
    items = make(db, [1, 2, 3])
    for act in (operator.getitem, operator.delitem, lambda each, at: operator.setitem(each, at, 0)):
        with pytest.raises(IndexError) as ours:
            act(items, index)
        with pytest.raises(IndexError) as theirs:
            act([1, 2, 3], index)
        assert str(ours.value) == str(theirs.value)
        assert items() == [1, 2, 3]
    with pytest.raises(IndexError) as ours:
        items.pop(index)
    assert str(ours.value) in (
        "pop index out of range",
        "cannot fit 'int' into an index-sized integer",
    )


def test_errors_are_in_the_tree(db: graven.DB) -> None:
    items = make(db, [])
    with pytest.raises(graven.IndexOutOfRange, match="list index out of range"):
        items[0]
    with pytest.raises(graven.IndexOutOfRange, match="pop from empty list"):
        items.pop()
    with pytest.raises(TypeError, match="list indices must be integers or slices, not str"):
        items["0"]
    with pytest.raises(TypeError):
        items["0"] = 1
    with pytest.raises(TypeError):
        items[1.0]


SLICES = [
    slice(start, stop, step)
    for start, stop, step in itertools.product(
        (None, 0, 2, -3, 99, -99), (None, 0, 5, -1, 99, -99), (None, 1, 2, 3, -1, -2)
    )
]


@pytest.mark.parametrize("size", [0, 7])
def test_slices_read(db: graven.DB, size: int) -> None:
    plain: list[object] = list(range(size))
    items = make(db, plain)
    for where in SLICES:
        found = items[where]
        assert type(found) is list
        assert found == plain[where], where


def test_slices_deleted_and_assigned(db: graven.DB, seed: int) -> None:
    random_source = random.Random(seed)
    for where in random_source.sample(SLICES, 60):
        plain: list[object] = list(range(8))
        items = make(db, plain)
        del items[where]
        del plain[where]
        assert items() == plain, where

        plain = list(range(8))
        items = make(db, plain)
        new: list[object] = ["x"] * random_source.choice([len(plain[where]), 0, 3])
        try:
            plain[where] = new
        except ValueError as theirs:
            with pytest.raises(ValueError) as ours:
                items[where] = new
            assert str(ours.value) == str(theirs)
        else:
            items[where] = new
        assert items() == plain, where


def test_slices_with_nested_values(db: graven.DB) -> None:
    items = make(db, [{"n": 0}, {"n": 1}, [2], {"n": 3}])
    kept = items[1]
    items[1:3] = [kept, {"new": 1}, kept]
    assert items() == [{"n": 0}, {"n": 1}, {"new": 1}, {"n": 1}, {"n": 3}]
    assert kept.backrefs == {items.uid: 2}
    items[::-1] = items[:]
    assert items() == [{"n": 3}, {"n": 1}, {"new": 1}, {"n": 1}, {"n": 0}]
    items[:] = items
    assert len(items) == 5
    items[2:2] = items
    assert len(items) == 10
    items[:] = (n for n in range(3))
    assert items() == [0, 1, 2]
    items[1:] = "ab"
    assert items() == [0, "a", "b"]
    with pytest.raises(TypeError):
        items[1:] = 5
    with pytest.raises(TypeError):
        items[::2] = 5
    with pytest.raises(ValueError, match="slice step cannot be zero"):
        items[::0]
    assert items() == [0, "a", "b"]


def test_large_slices(db: graven.DB) -> None:
    plain: list[object] = list(range(3000))
    items = make(db, plain)
    for where in (slice(None, None, 7), slice(10, 2500), slice(2900, 5, -3), slice(-5, None)):
        assert items[where] == plain[where]
        items[where] = items[where][::-1]
        plain[where] = plain[where][::-1]
        assert items() == plain
        del items[where]
        del plain[where]
        assert items() == plain


def test_append_extend_insert(db: graven.DB) -> None:
    items = make(db, [])
    items.append(1)
    items.append({"a": [1]})
    items.append(None)
    items.extend([2, 3])
    items.extend(n for n in (4,))
    items.extend({"key": 1})
    items.extend(items)
    assert items()[:7] == items()[7:]
    assert items[1].uid == items[8].uid
    items[:] = [1, 2]
    items.insert(0, "first")
    items.insert(-1, "before last")
    items.insert(99, "last")
    items.insert(-99, "very first")
    assert items() == ["very first", "first", 1, "before last", 2, "last"]
    with pytest.raises(TypeError):
        items.extend(5)


def test_pop_remove(db: graven.DB) -> None:
    items = make(db, [1, {"a": 1}, 2, {"a": 1}, 1.0, True])
    assert items.pop() is True
    assert items.pop(0) == 1
    taken = items.pop(0)
    assert taken() == {"a": 1}
    items.remove({"a": 1})
    items.remove(1)
    assert items() == [2]
    with pytest.raises(ValueError) as caught:
        items.remove(99)
    assert str(caught.value) == "list.remove(x): x not in list"
    with pytest.raises(TypeError):
        items.pop("0")


def test_index_count_contains(db: graven.DB) -> None:
    plain: list[object] = [
        1, "a", True, 1.0, None, [1], {"k": [1]}, 2**70, float(2**70), b"x", "1", 0, -0.0,
    ]  # fmt: skip
    items = make(db, plain)
    for wanted in [*plain, 2, False, "b", b"a", [2], {"k": [2]}, (1,), {1}, object(), 1 + 0j,
                   float("nan"), "\ud800"]:  # fmt: skip
        assert (wanted in items) == (wanted in plain), wanted
        assert items.count(wanted) == plain.count(wanted), wanted
        try:
            expected = plain.index(wanted)
        except ValueError:
            with pytest.raises(ValueError, match="is not in list"):
                items.index(wanted)
        else:
            assert items.index(wanted) == expected
    assert items.index(1, 1) == 2
    assert items.index(1, 3, 4) == 3
    assert items.index(1, -10, -1) == 3
    with pytest.raises(ValueError):
        items.index("a", 2)
    with pytest.raises(ValueError):
        items.index(1, 5, 3)
    with pytest.raises(TypeError):
        items.index(1, "0")
    assert items[5] in items
    assert items.index(items[6]) == 6


def test_sort_and_reverse(db: graven.DB) -> None:
    items = make(db, [3, 1, 2])
    assert items.sort() is None
    assert items() == [1, 2, 3]
    items.sort(reverse=True)
    assert items() == [3, 2, 1]
    items.reverse()
    assert items() == [1, 2, 3]
    people = [{"name": name, "age": age} for name, age in zip("dacb", [2, 1, 2, 1])]
    items[:] = people
    uids = {each["name"]: each.uid for each in items}
    items.sort(key=lambda each: each["age"])
    assert [each["name"] for each in items] == ["a", "b", "d", "c"]
    items.sort(key=lambda each: each["age"], reverse=True)
    assert [each["name"] for each in items] == ["d", "c", "a", "b"]
    assert {each["name"]: each.uid for each in items} == uids
    items.sort(key=operator.itemgetter("name"))
    assert [each["name"] for each in items] == ["a", "b", "c", "d"]


def test_sort_that_fails_changes_nothing(db: graven.DB) -> None:
    items = make(db, [3, "a", 1])
    with pytest.raises(TypeError):
        items.sort()
    with pytest.raises(ZeroDivisionError):
        items.sort(key=lambda each: 1 / 0)
    with pytest.raises(TypeError):
        items.sort(len)
    assert items() == [3, "a", 1]
    items[:] = [3, 2, 1]

    def meddles(value: object) -> object:
        items.append(0)
        return value

    with pytest.raises(ValueError, match="modified during sort"):
        items.sort(key=meddles)
    assert items() == [3, 2, 1]
    assert not getattr(db, "in_transaction")


def test_sort_of_many(db: graven.DB, seed: int) -> None:
    random_source = random.Random(seed)
    plain: list[object] = [random_source.randrange(100) for _ in range(2000)]
    items = make(db, plain)
    items.sort()
    assert items() == sorted(plain)  # type: ignore[type-var]
    random_source.shuffle(items)
    assert sorted(items()) == sorted(plain)  # type: ignore[type-var]


def test_operators(db: graven.DB) -> None:
    items = make(db, [1, {"a": 1}])
    plus = items + [2]
    assert type(plus) is list
    assert plus == [1, {"a": 1}, 2]
    assert [0] + items == [0, 1, {"a": 1}]
    assert items + items == [1, {"a": 1}] * 2
    assert items * 2 == 2 * items == [1, {"a": 1}] * 2
    assert items * -1 == []
    for bad in ((1,), "x", 5, None):
        with pytest.raises(TypeError):
            items + bad
    with pytest.raises(TypeError):
        items * "x"
    with pytest.raises(TypeError):
        items * items
    same = items
    items += [3]
    items += (4,)
    assert items is same
    assert items() == [1, {"a": 1}, 3, 4]
    items *= 2
    assert items is same
    assert items() == [1, {"a": 1}, 3, 4] * 2
    assert items[1].uid == items[5].uid
    items *= 1
    assert len(items) == 8
    items *= 0
    assert items() == []


def test_comparison(db: graven.DB) -> None:
    items = make(db, [1, [2, {"x": None}]])
    db["other"] = [1.0, [2, {"x": None}]]
    assert items == db["other"]
    assert items == [1, [2, {"x": None}]]
    assert [1, [2, {"x": None}]] == items
    assert items != [1]
    assert items != (1, [2, {"x": None}])
    assert items != {"a": 1}
    assert items[1] == [2, items[1][1]]
    assert items < [2]
    assert items <= db["other"]
    assert items >= db["other"]
    assert [0] < items
    assert not items > [1, [3]]
    with pytest.raises(TypeError):
        items < 5
    items.append(items)
    plain: list[object] = [1, [2, {"x": None}]]
    plain.append(plain)
    assert items == plain
    with pytest.raises(TypeError, match="unhashable"):
        hash(items)


def test_iteration(db: graven.DB) -> None:
    items = make(db, [1, [2], 3])
    assert [each if isinstance(each, int) else each() for each in items] == [1, [2], 3]
    assert list(reversed(items))[0] == 3
    assert items.copy()[0] == 1
    assert type(items.copy()) is list
    assert isinstance(items.copy()[1], graven.List)
    first, *rest = items
    assert first == 1
    assert len(rest) == 2
    # As in Python, an iteration over a list sees what its thread adds.
    items[:] = [0]
    seen = []
    for each in items:
        seen.append(each)
        if each < 5:
            items.append(each + 1)
    assert seen == [0, 1, 2, 3, 4, 5]
    iterator = iter(items)
    assert list(iterator) == [0, 1, 2, 3, 4, 5]
    items.append(6)
    assert list(iterator) == []
    backwards = reversed(items)
    assert next(backwards) == 6
    items.clear()
    assert list(backwards) == []


def test_it_is_a_mutable_sequence(db: graven.DB) -> None:
    items = make(db, [3, 1, 2])
    assert isinstance(items, MutableSequence)
    assert isinstance(items, Sequence)
    assert issubclass(graven.List, MutableSequence)
    assert graven.RL is graven.List
    assert sorted(items) == [1, 2, 3]
    assert max(items) == 3
    assert list(zip(items, "abc"))[0] == (3, "a")
    assert operator.index(len(items)) == 3
    for name in dir(list):
        if name not in ("__class_getitem__", "__sizeof__"):
            assert hasattr(graven.List, name) or name == "__rmul__", name


def test_constructor(db: graven.DB) -> None:
    for made in (
        graven.List(db, [1, 2]),
        graven.List(db, (1, 2)),
        graven.List(db, (n for n in (1, 2))),
        graven.List(db, graven.List(db, [1, 2])),
    ):
        assert made == [1, 2]
        assert made.refcount == 0
    empty = graven.RL(db)
    db["e"] = empty
    empty.append(1)
    assert db["e"]() == [1]
    with pytest.raises(TypeError):
        graven.List(db, 5)
    with pytest.raises(TypeError):
        graven.List()


def test_a_list_of_dicts_survives_every_rewriting(db: graven.DB) -> None:
    items = make(db, [{"a": 1}, {"b": 2}])
    items.insert(0, 9)
    assert items() == [9, {"a": 1}, {"b": 2}]
    items.reverse()
    assert items() == [{"b": 2}, {"a": 1}, 9]
    items[-1] = {"c": 3}
    items.sort(key=lambda each: next(iter(each)))
    assert items() == [{"a": 1}, {"b": 2}, {"c": 3}]
    assert items.pop(0)() == {"a": 1}
    items.remove({"b": 2})
    assert items() == [{"c": 3}]
