# SPDX-License-Identifier: MIT
"""The password of a URL is in no error, wherever the URL came from."""

import traceback

import pytest

import graven
from graven import DB, Map

SECRET = "hunter2"
SERVERS = [  # that cannot be reached
    f"postgres://ada:{SECRET}@127.0.0.1:1/shop",
    f"redis://ada:{SECRET}@127.0.0.1:1/0",
    f"rediss://127.0.0.1:1/0?password={SECRET}",
]
URLS = [
    f"postgres://ada:{SECRET}/x@y@db.example/shop",
    f"sqlite://ada:{SECRET}@host/state.db",
    f"sqlite:///state.db?password={SECRET}",
    f"sqlite:///state.db?mode=zz&authToken={SECRET}",
    f"libsql://host?auth_token={SECRET}",
]


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)) + repr(error)


@pytest.mark.parametrize("url", URLS)
def test_errors_hide_it(url, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", url)
    for opening in (lambda: DB(url), lambda: DB(), lambda: Map(url), lambda: Map(url, "name")):
        with pytest.raises(graven.UsageError) as failed:
            opening()
        assert "***" in str(failed.value)
        assert SECRET not in shown(failed.value)


@pytest.mark.parametrize("url", SERVERS)
def test_errors_of_servers_hide_it(url):
    for opening in (lambda: DB(url), lambda: Map(url, "name")):
        with pytest.raises(graven.UnavailableError) as failed:
            opening()
        assert "127.0.0.1" in str(failed.value)
        assert SECRET not in shown(failed.value)
