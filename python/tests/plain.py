# SPDX-License-Identifier: MIT
"""Comparing stored and plain structures strictly: types, order, and what is shared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any


def same_shape(left: Any, right: Any) -> bool:
    """Whether two plain structures are one structure: equal types and values, dicts in the same
    order, and objects shared on one side shared on the other."""
    pairs = [(left, right)]
    left_to_right: dict[int, int] = {}
    right_to_left: dict[int, int] = {}
    while pairs:
        a, b = pairs.pop()
        if type(a) is not type(b):
            return False
        if isinstance(a, (dict, list)):
            if id(a) in left_to_right or id(b) in right_to_left:
                if left_to_right.get(id(a)) != id(b) or right_to_left.get(id(b)) != id(a):
                    return False
                continue
            left_to_right[id(a)] = id(b)
            right_to_left[id(b)] = id(a)
            if len(a) != len(b):
                return False
            if isinstance(a, dict):
                if list(a) != list(b):
                    return False
                pairs.extend((a[key], b[key]) for key in a)
            else:
                pairs.extend(zip(a, b))
        elif isinstance(a, float):
            if math.isnan(a) != math.isnan(b):
                return False
            if not math.isnan(a) and (a != b or math.copysign(1, a) != math.copysign(1, b)):
                return False
        elif a != b:
            return False
    return True


def containers(plain: Any) -> Iterator[Any]:
    """Every dict and list of a plain structure, once."""
    seen: set[int] = set()
    todo = [plain]
    while todo:
        each = todo.pop()
        if isinstance(each, (dict, list)) and id(each) not in seen:
            seen.add(id(each))
            yield each
            todo.extend(each.values() if isinstance(each, dict) else each)
