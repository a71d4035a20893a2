"""Where a Redis is, as one URL. Its forms, where `rediss` in the place of `redis` means TLS:

    redis://[USER:PASSWORD@]HOST[:6379][/DB]
    unix://[USER:PASSWORD@]/PATH[?db=DB]
    redis+sentinel://[USER:PASSWORD@]HOST[:26379],HOST…/MASTER[/DB][?sentinel_username=…&sentinel_password=…]
    redis+cluster://[USER:PASSWORD@]HOST[:6379],HOST…

What of a user, password or path is no plain letter or digit may be percent-encoded; `/ ? # @ %` must be. Messages
never show the URL, for it may hold a password.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote

_FORM = re.compile(r"(?P<scheme>rediss?(?:\+sentinel|\+cluster)?|unix)://(?P<rest>.*)", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
_MASTER = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_HOSTS = 100
_SCHEMES = (
    "redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://"
)


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are there; no user is the default one."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A URL taken apart. `hosts` are servers, sentinels, or some nodes of a cluster; with a `path` there are none."""

    kind: Literal["single", "sentinel", "cluster"]
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    path: str = ""
    db: int = 0
    master: str = ""
    login: Login = Login()
    sentinel_login: Login = Login()


def parse_redis_url(text: str) -> RedisUrl:
    """Take a URL apart. Raises ValueError with a message for whoever wrote it."""
    form = _FORM.fullmatch(text)
    if form is None or not text.isascii() or not text.isprintable() or " " in text or "#" in text:
        raise ValueError(f"the URL must begin with {_SCHEMES} and have only characters that a URL can have")
    protocol, _, kind = form["scheme"].partition("+")
    before, _, query = form["rest"].partition("?")
    authority, slash, path = before.partition("/")
    userinfo, at, hosts = authority.rpartition("@")
    login = _login(userinfo) if at else Login()
    options = _options(query)
    if protocol == "unix":
        return _unix(hosts, slash + path, options, login)
    tls = protocol == "rediss"
    if kind == "sentinel":
        master, _, db = path.partition("/")
        if _MASTER.fullmatch(unquote(master)) is None:
            raise ValueError("the URL must name the master behind its hosts, as in redis+sentinel://a,b,c/mymaster")
        own = Login(options.pop("sentinel_username", None), options.pop("sentinel_password", None))
        _no_more(options)
        return RedisUrl("sentinel", tls, _hosts(hosts, 26379), "", _db(db), unquote(master), login, own)
    _no_more(options)
    if kind == "cluster":
        if _db(path):
            raise ValueError("a Redis Cluster has no database but 0")
        return RedisUrl("cluster", tls, _hosts(hosts, 6379), login=login)
    if "," in hosts:
        raise ValueError("a URL with several hosts begins with redis+sentinel:// or redis+cluster://")
    return RedisUrl("single", tls, _hosts(hosts, 6379), db=_db(path), login=login)


def _unix(host: str, path: str, options: dict[str, str], login: Login) -> RedisUrl:
    db = _db(options.pop("db", ""))
    _no_more(options)
    if host or len(path) < 2:
        raise ValueError("the URL of a Unix socket has three slashes, as in unix:///run/redis/redis.sock")
    return RedisUrl("single", False, (), unquote(path), db, login=login)


def _login(userinfo: str) -> Login:
    username, _, password = userinfo.partition(":")
    return Login(unquote(username) or None, unquote(password) or None)


def _options(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=10) if query else []
    except ValueError:
        raise ValueError("the URL has a query that is not valid") from None
    options = dict(pairs)
    if len(options) != len(pairs):
        raise ValueError("the URL has an option twice")
    return options


def _no_more(options: dict[str, str]) -> None:
    if options:
        raise ValueError("the URL has an option behind ? that is not known for its form")


def _db(text: str) -> int:
    if text == "":
        return 0
    if re.fullmatch(r"[0-9]{1,5}", text) is None:
        raise ValueError("the URL's database must be a number; a / in a password is written %2F")
    return int(text)


def _hosts(text: str, port: int) -> tuple[tuple[str, int], ...]:
    hosts = tuple(_host(one, port) for one in text.split(","))
    if len(hosts) > _HOSTS:
        raise ValueError("the URL names too many hosts")
    return hosts


def _host(text: str, port: int) -> tuple[str, int]:
    host, bracket, rest = text.rpartition("]")
    name, colon, number = (host + bracket, *rest.partition(":")[1:]) if bracket else text.partition(":")
    if bracket and rest and not rest.startswith(":"):
        raise ValueError("the URL has a host or port that is not valid")
    if colon and (re.fullmatch(r"[0-9]{1,5}", number) is None or not 0 < int(number) < 65536):
        raise ValueError("the URL has a host or port that is not valid")
    if name.startswith("["):
        name = name[1:-1]
        try:
            ipaddress.IPv6Address(name)
        except ValueError:
            raise ValueError("the URL has a host or port that is not valid") from None
    elif _HOST.fullmatch(name) is None:
        raise ValueError("the URL has a host or port that is not valid")
    return name, int(number) if colon else port
