# SPDX-License-Identifier: MIT
"""The settings of redis-py clients, taken over or refused. No server is needed."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from graven import DB, Map, UsageError
from graven.redis_clients import url_of

redis = pytest.importorskip("redis")
valkey = pytest.importorskip("valkey")

EACH = pytest.mark.parametrize("client", [redis.Redis, valkey.Valkey])


@EACH
def test_host_port_database_and_credentials(client: Any) -> None:
    assert url_of(client()) == "redis://localhost:6379?db=0"
    assert url_of(client(host="h", port=1, db=2)) == "redis://h:1?db=2"
    assert url_of(client(host="::1")) == "redis://[::1]:6379?db=0"
    assert url_of(client(password="a/b:c@d")) == "redis://:a%2Fb%3Ac%40d@localhost:6379?db=0"
    assert url_of(client(username="ü", password="p")).startswith("redis://%C3%BC:p@")
    assert url_of(client.from_url("redis://u:p@h:99/3")) == "redis://u:p@h:99?db=3"


@EACH
def test_sockets_and_tls(client: Any) -> None:
    assert url_of(client(unix_socket_path="/run/a b.sock", db=1)) == "unix:///run/a%20b.sock?db=1"
    assert url_of(client(ssl=True)) == "rediss://localhost:6379?db=0&ssl_cert_reqs=required"
    unverified = client(ssl=True, ssl_cert_reqs=ssl.CERT_NONE, ssl_ca_certs="/ca.pem")
    assert "ssl_ca_certs=%2Fca.pem&ssl_cert_reqs=none" in url_of(unverified)
    with pytest.raises(UsageError, match="not absolute"):
        url_of(client(unix_socket_path="here.sock"))


@EACH
def test_what_cannot_be_read_is_refused_without_the_password(client: Any) -> None:
    with pytest.raises(UsageError, match="ssl_ca_data") as error:
        url_of(client(ssl=True, ssl_ca_data="data", password="hush"))
    assert "hush" not in str(error.value)
    with pytest.raises(UsageError, match="optional"):
        url_of(client(ssl=True, ssl_cert_reqs="optional"))
    with pytest.raises(UsageError, match="connection_kwargs"):
        url_of(object())


def test_providers_of_credentials() -> None:
    fixed = redis.UsernamePasswordCredentialProvider("ada", "pw")
    assert url_of(redis.Redis(credential_provider=fixed)).startswith("redis://ada:pw@")
    assert url_of(
        redis.Redis(credential_provider=redis.UsernamePasswordCredentialProvider(None, "pw"))
    ).startswith("redis://:pw@")

    class Tokens(redis.CredentialProvider):  # type: ignore[misc]
        def get_credentials(self) -> tuple[str]:
            return ("token",)

    with pytest.raises(UsageError, match="Tokens"):
        url_of(redis.Redis(credential_provider=Tokens()))


def test_sentinels_are_refused() -> None:
    master = redis.Sentinel([("localhost", 1)]).master_for("a")
    with pytest.raises(UsageError, match="Sentinel"):
        url_of(master)


@pytest.mark.parametrize("opens", [DB, Map])
def test_the_arguments_must_fit_together(opens: Any) -> None:
    with pytest.raises(UsageError, match="takes no path"):
        opens("state.db", redis=redis.Redis())
    with pytest.raises(UsageError, match="redis_adapter"):
        opens(redis_kwargs={"db": 1})
    with pytest.raises(UsageError, match="connection_kwargs"):
        opens(redis_adapter=lambda **settings: object())


@pytest.mark.parametrize("opens", [DB, Map])
def test_an_adapter_gets_the_path_and_its_arguments(opens: Any) -> None:
    got: list[Any] = []

    def adapter(*arguments: Any, **settings: Any) -> object:
        got.append((arguments, settings))
        return object()

    for arguments in ((), ("store.rdb",)):
        with pytest.raises(UsageError, match="connection_kwargs"):
            opens(*arguments, redis_adapter=adapter, redis_kwargs={"db": 1})
    assert got == [((), {"db": 1}), (("store.rdb",), {"db": 1})]
