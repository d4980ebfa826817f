# SPDX-License-Identifier: MIT
"""The options of opening, as Python shows them; they are declared in <graven/option_fields.hpp>."""

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
    """The decorated __init__() has the parameters of another one, for who checks types."""
    return lambda function: function


class Parameters:
    """As `__signature__` of a class: those of the __init__() of a class of the extension."""

    def __init__(self, of: type) -> None:
        self._of = of

    def __set_name__(self, owner: Any, name: str) -> None:
        self._init = owner.__init__

    def __get__(self, instance: object, owner: Any) -> inspect.Signature:
        if owner.__init__ is not self._init:  # a subclass, with its own
            raise AttributeError("__signature__")
        from graven.arguments import signature_of  # here, with what takes long to import

        return signature_of(self._of)


def default_of(option: Mapping[str, Any]) -> str:
    """An option's default and what else it may be, in words."""
    text = f"{option['value']!r} {option['unit']}".rstrip()
    if option["names"]:
        return f"{text} of {', '.join(option['names'])}"
    narrow = option["unit"] and option["most"] < 1 << 20
    return f"{text}, from {option['least']} to {option['most']}" if narrow else text


def describe(opened: type, options: Iterable[Mapping[str, Any]]) -> None:
    """Adds the options to a class's docstring."""
    heading = "\n    Of the file, where the first DB that a process opens on it decides:\n\n    "
    for each in options:
        if each["of_file"]:
            opened.__doc__, heading = f"{opened.__doc__}{heading}", ""
        given = "; ".join(filter(None, [default_of(each), each["variable"]]))
        opened.__doc__ = f"{opened.__doc__}{each['name']} ({given}): {each['help']}\n    "
