# SPDX-License-Identifier: MIT
"""The options for opening, as Python shows them; <graven/option_fields.hpp> declares them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import inspect

    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")


def takes(
    init: Callable[Concatenate[Any, P], None],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """For type checkers: the decorated __init__() has the parameters of another one."""
    return lambda function: function


class Parameters:
    """The `__signature__` of a class: that of the __init__() of a class of the extension."""

    def __init__(self, of: type) -> None:
        self._of = of

    def __set_name__(self, owner: Any, name: str) -> None:
        self._init = owner.__init__

    def __get__(self, instance: object, owner: Any) -> inspect.Signature:
        if owner.__init__ is not self._init:  # a subclass, with its own
            raise AttributeError("__signature__")
        from graven.arguments import signature_of  # here, because its imports take long

        return signature_of(self._of)


def default_of(option: Mapping[str, Any]) -> str:
    """The default of an option and its other values, as text."""
    text = f"{option['value']!r} {option['unit']}".rstrip()
    if option["names"]:
        return f"{text} of {', '.join(option['names'])}"
    narrow = option["unit"] and option["most"] < 1 << 20
    return f"{text}, from {option['least']} to {option['most']}" if narrow else text


def describe(opened: type, options: Iterable[Mapping[str, Any]]) -> None:
    """Adds the options to a class's docstring."""
    heading = "\n    Options of the file, decided by the first DB that a process opens:\n\n    "
    for each in options:
        if each["of_file"]:
            opened.__doc__, heading = f"{opened.__doc__}{heading}", ""
        given = "; ".join(filter(None, [default_of(each), each["variable"]]))
        opened.__doc__ = f"{opened.__doc__}{each['name']} ({given}): {each['help']}\n    "
