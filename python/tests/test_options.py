# SPDX-License-Identifier: MIT
"""The options of opening, declared once: each is taken, with one meaning, by all that opens."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from stub import make_stub

import graven
from graven import DB, Map, _graven, aio

# Values beside the defaults, where "one more" will not do.
SAMPLES: dict[str, Any] = {
    "wal": True,  # cannot be another
    "create": True,  # an empty place would be refused
    "new_prefix": True,
    "read_only": False,  # likewise
    "persist": "lazy",
    "synchronous": "full",
    "checkpoint": "passive",
    "temp_store": "memory",
    "memory_mb": 64,
    "warm_bytes": 1 << 20,
}
OF_DB = {each["name"]: each for each in _graven.database_options()}
OF_MAP = {each["name"]: each for each in _graven.map_options()}


def sample(option: dict[str, Any]) -> Any:
    value = option["value"]
    if option["name"] in SAMPLES:
        return SAMPLES[option["name"]]
    return (
        "other" if value is None or value == "main" else not value if value is False else value + 1
    )


def text_of(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def open_and_close(opening: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    async def main() -> None:
        async with opening(*arguments, **options):
            pass

    if opening in (aio.DB, aio.AsyncMap):
        asyncio.run(main())
    else:
        opening(*arguments, **options).close()


def environment(monkeypatch: pytest.MonkeyPatch, path: str, variable: str, value: str) -> None:
    monkeypatch.setenv("DATABASE_URL", path)
    monkeypatch.setenv(variable, value)


@pytest.mark.parametrize("name", OF_DB)
def test_each_of_a_database(path: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    option, value = OF_DB[name], sample(OF_DB[name])
    assert (option["help"] and value != option["value"]) or name in SAMPLES
    told = {each["name"]: each["value"] for each in _graven.database_options(**{name: value})}
    assert told == {key: each["value"] for key, each in OF_DB.items()} | {name: value}
    open_and_close(DB, path, **{name: value})
    open_and_close(aio.DB, path, **{name: value})
    url = f"sqlite:///{path}?{name}={quote(text_of(value))}"
    open_and_close(DB, url)
    open_and_close(aio.DB, url)
    if option["variable"]:
        environment(monkeypatch, path, option["variable"], text_of(value))
        open_and_close(DB)
        open_and_close(aio.DB)


@pytest.mark.parametrize("name", OF_MAP)
def test_each_of_a_map(path: str, name: str) -> None:
    value = sample(OF_MAP[name])
    told = {each["name"]: each["value"] for each in _graven.map_options(**{name: value})}
    assert told == {key: each["value"] for key, each in OF_MAP.items()} | {name: value}
    open_and_close(Map, path, **{name: value})
    open_and_close(aio.AsyncMap, path, **{name: value})


def unfit(option: dict[str, Any]) -> Any:
    """A value of the right type that the option cannot have; None where there is none."""
    if option["names"]:
        return "sometimes"
    if option["name"] == "wal":
        return False
    numeric = type(option["value"]) in (int, float)
    return option["least"] - 1 if numeric else None


@pytest.mark.parametrize("name", [name for name, each in OF_DB.items() if unfit(each) is not None])
def test_what_cannot_be_is_refused_alike(
    path: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    option, value = OF_DB[name], unfit(OF_DB[name])
    told = "write-ahead log" if name == "wal" else name
    url = f"sqlite:///{path}?{name}={text_of(value)}"
    for opening in (DB, aio.DB):
        with pytest.raises(graven.UsageError, match=told):
            open_and_close(opening, path, **{name: value})
        with pytest.raises(graven.UsageError, match=told):
            open_and_close(opening, url)
    if name in OF_MAP:
        for opening in (Map, aio.AsyncMap):
            with pytest.raises(graven.UsageError, match=told):
                open_and_close(opening, path, **{name: value})
    if option["variable"]:
        environment(monkeypatch, path, option["variable"], text_of(value))
        told = told if name == "wal" else option["variable"]
        for opening in (DB, aio.DB):
            with pytest.raises(graven.UsageError, match=told):
                open_and_close(opening)
    assert not Path(path).exists()


@pytest.mark.parametrize("opening", [DB, aio.DB, Map, aio.AsyncMap])
def test_others_are_refused(path: str, opening: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="colour"):
        opening(path, colour="red")
    with pytest.raises(TypeError):
        opening(path, "a", prefix="a", name="a")
    with pytest.raises(TypeError):
        opening(path, *range(9))


def test_what_they_do(path: str) -> None:
    with DB(f"sqlite:///{path}?pool_size=3&pending_limit=1000&allow_network_file_system=on") as db:
        assert db.get_connection_stats()["readers"]["limit"] == 3
        db["a"] = 1
    with DB(f"sqlite:///{path}?read_only=on") as db:
        assert db.read_only

    async def main() -> None:
        async with aio.DB(path, pool_size=4, separate_read_write=True) as other:
            assert (await other.get_connection_stats())["readers"]["limit"] == 20

    asyncio.run(main())


def test_signatures_and_docstrings_have_them_all() -> None:
    for openings, options in (((DB, aio.DB), OF_DB), ((Map, aio.AsyncMap), OF_MAP)):
        for opening in openings:
            parameters = inspect.signature(opening).parameters
            clients = ["redis", "redis_adapter", "redis_kwargs"]
            assert list(parameters) == ["path_or_url", *options, *clients]
            assert {key: each.default for key, each in list(parameters.items())[1:]} == {
                **{key: each["value"] for key, each in options.items()},
                **dict.fromkeys(clients),
            }
        for name, each in options.items():
            assert f"{name} ({each['value']!r}" in str(openings[0].__doc__)
            assert each["help"] in str(openings[0].__doc__)

    class Own(DB):
        def __init__(self, path: str, *, colour: str) -> None:
            super().__init__(path)

    assert list(inspect.signature(Own).parameters) == ["path", "colour"]
    assert str(inspect.signature(Map)).startswith(
        "(path_or_url: 'str | bytes | os.PathLike[str] | os.PathLike[bytes] | None' = None, "
        "name: 'str' = 'main',"
    )


def test_the_page_has_them_all() -> None:
    page = make_stub().OPTIONS.read_text(encoding="utf-8")
    assert page == make_stub().options_page(page), "run python/bindings/make_stub.py"
