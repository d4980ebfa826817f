# SPDX-License-Identifier: MIT
"""Errors for calls with wrong arguments: which argument is wrong, and what it must be.

The extension calls refuse() if none of a function's signatures fits the call. The stub shows the
same signatures. Only types that a signature names are checked.
"""

from __future__ import annotations

import ast
import collections.abc
import os
import re
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature
from itertools import repeat
from typing import Any, NoReturn

from graven import _graven
from graven.errors import BadValueError, LimitError, WrongTypeError

__all__ = ["refuse", "signature_of"]

_BITS_64 = 1 << 64
_SHOWN = {"Database": "DB", "FlatMap": "Map", "BulkImportBase": "BulkImport", "Watcher": "Watch"}
_PLAIN: Mapping[str, Callable[[Any], bool]] = {
    "Any": lambda value: True,
    "object": lambda value: True,
    "None": lambda value: value is None,
    "str": lambda value: isinstance(value, str),
    "bytes": lambda value: isinstance(value, bytes),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int),
    "float": lambda value: isinstance(value, (int, float)),
    "Callable": callable,
    "SupportsIndex": lambda value: hasattr(value, "__index__"),
    "PathLike": lambda value: _is_path(value),
}


def _is_path(value: Any) -> bool:
    try:
        os.fspath(value)
    except TypeError:
        return False
    return True


def refuse(function: Any, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> NoReturn:
    """Raises the error for a call that fits none of the function's signatures."""
    name = function.__name__
    if name == "__init__" and arguments:
        name = type(arguments[0]).__name__
        name = _SHOWN.get(name, name)
    signatures = [_parsed(each[0]) for each in function.__nb_signature__]
    fitting = [each for each in signatures if _miscounted(each, arguments, keywords) is None]
    if not fitting:
        raise WrongTypeError(f"{name}() {_miscounted(signatures[-1], arguments, keywords)}")
    # The signature whose first wrong argument comes last is taken as the intended one.
    pairs = [_bound(each, arguments, keywords) for each in fitting]
    for parameter, value in max(pairs, key=_how_far):
        _judge(name, parameter, value)
    given = ", ".join(_name_of(each) for each in (*arguments, *keywords.values()))
    raise WrongTypeError(f"{name}() does not take these arguments: {given}")


def _parsed(text: str) -> ast.arguments:
    """The parameters of `def f(…) -> …`, where \\0 and so on stand for defaults."""
    text = re.sub(r"\\\d+", "None", text)
    definition = ast.parse(f"{text}: ...").body[0]
    assert isinstance(definition, ast.FunctionDef)
    return definition.args


def signature_of(opened: type) -> Signature:
    """The parameters of the __init__() of a class of the extension."""
    init = _parsed(vars(opened)["__init__"].__nb_signature__[0][0])
    none = [None] * (len(init.args) - len(init.defaults))
    by_position = zip(init.args, [*none, *init.defaults], repeat(Parameter.POSITIONAL_OR_KEYWORD))
    by_name = zip(init.kwonlyargs, init.kw_defaults, repeat(Parameter.KEYWORD_ONLY))
    parameters = [
        Parameter(
            each.arg,
            kind,
            default=Parameter.empty if default is None else ast.literal_eval(default),
            annotation=each.annotation and ast.unparse(each.annotation),
        )
        for each, default, kind in (*by_position, *by_name)
    ]
    return Signature(parameters[1:])


def _miscounted(
    signature: ast.arguments, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> str | None:
    """What is wrong with the number of arguments and their names."""
    positional = [*signature.posonlyargs, *signature.args]
    with_self = bool(positional) and positional[0].arg == "self"
    if len(arguments) > len(positional) and signature.vararg is None:
        most, given = len(positional) - with_self, len(arguments) - with_self
        return f"takes at most {most} argument{'s' * (most != 1)} by position, not {given}"
    by_position = {each.arg for each in positional[: len(arguments)]}
    by_name = {each.arg for each in (*signature.args, *signature.kwonlyargs)}
    for name in keywords:
        if name in by_name and name in by_position:
            return f"was given {name!r} twice"
        if name not in by_name and signature.kwarg is None:
            only = any(each.arg == name for each in signature.posonlyargs)
            return f"takes {name!r} by position" if only else f"has no argument {name!r}"
    required = positional[: len(positional) - len(signature.defaults)][len(arguments) :]
    required += [
        each
        for each, default in zip(signature.kwonlyargs, signature.kw_defaults)
        if default is None
    ]
    for each in required:
        if each.arg not in keywords or each in signature.posonlyargs:
            return f"lacks the argument {each.arg!r}"
    return None


def _bound(
    signature: ast.arguments, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> list[tuple[ast.arg, Any]]:
    positional = [*signature.posonlyargs, *signature.args]
    pairs = list(zip(positional, arguments))
    named = {each.arg: each for each in (*signature.args, *signature.kwonlyargs)}
    pairs += [(named[name], value) for name, value in keywords.items() if name in named]
    return pairs


def _how_far(pairs: Sequence[tuple[ast.arg, Any]]) -> int:
    fit = (each.annotation is None or _fits(each.annotation, value) for each, value in pairs)
    return next((at for at, each in enumerate(fit) if not each), len(pairs))


def _judge(function: str, parameter: ast.arg, value: Any) -> None:
    """Raises if this argument does not fit."""
    if parameter.annotation is None:
        return
    where = f"{function}(): {parameter.arg}"
    if not _fits(parameter.annotation, value):
        wanted = _text(parameter.annotation)
        raise WrongTypeError(f"{where} must be {wanted}, not {_name_of(value)}")
    if isinstance(value, int) and not -_BITS_64 // 2 <= value < _BITS_64 // 2:
        if value.bit_length() > 128:
            raise LimitError(f"{where} is too {'small' if value < 0 else 'large'}")
        raise LimitError(f"{where} is {value:#x}, which is beyond 64 bits")
    if isinstance(value, int) and value < 0 and _text(parameter.annotation) == "int":
        raise LimitError(f"{where} is {value}, but must not be negative")
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BadValueError(f"{where} has a lone surrogate, which no encoding can hold: {value!a}")


def _fits(annotation: ast.expr, value: Any) -> bool:
    if isinstance(annotation, ast.BinOp):  # a | b
        return _fits(annotation.left, value) or _fits(annotation.right, value)
    if isinstance(annotation, ast.Subscript):  # Iterable[str]
        return _fits(annotation.value, value)
    if isinstance(annotation, ast.Attribute):  # os.PathLike
        name = annotation.attr
    elif isinstance(annotation, ast.Name):
        name = annotation.id
    else:
        name = "None" if isinstance(annotation, ast.Constant) else ""
    if name in _PLAIN:
        return _PLAIN[name](value)
    known = getattr(_graven, name, getattr(collections.abc, name, None))
    return not isinstance(known, type) or isinstance(value, known)


def _text(annotation: ast.expr) -> str:
    *first, last = dict.fromkeys(_alternatives(annotation))
    return f"{', '.join(first)} or {last}" if first else last


def _alternatives(annotation: ast.expr) -> list[str]:
    if isinstance(annotation, ast.BinOp):
        return _alternatives(annotation.left) + _alternatives(annotation.right)
    text = re.sub(r"^os\.PathLike.*", "os.PathLike", ast.unparse(annotation))
    if isinstance(annotation, ast.Attribute) and annotation.attr != "PathLike":
        text = annotation.attr
    return [_SHOWN.get(text, text)]


def _name_of(value: Any) -> str:
    if value is None:
        return "None"
    name = type(value).__qualname__
    module = type(value).__module__
    return name if module in ("builtins", "graven") else f"{module}.{name}"
