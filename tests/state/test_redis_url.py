from __future__ import annotations

import pytest

from gateway.state.redis_url import Login, RedisUrl, parse_redis_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://a", RedisUrl("single", False, (("a", 6379),))),
        ("redis://a:7000/", RedisUrl("single", False, (("a", 7000),))),
        ("rediss://a.example:7000/3", RedisUrl("single", True, (("a.example", 7000),), db=3)),
        ("redis://[::1]:7000", RedisUrl("single", False, (("::1", 7000),))),
        ("redis://[::1]", RedisUrl("single", False, (("::1", 6379),))),
        ("redis://:pa%2Fss@a", RedisUrl("single", False, (("a", 6379),), login=Login(None, "pa/ss"))),
        ("redis://u%40x:p:q@@a", RedisUrl("single", False, (("a", 6379),), login=Login("u@x", "p:q@"))),
        ("redis://u@a", RedisUrl("single", False, (("a", 6379),), login=Login("u", None))),
        ("unix:///run/r.sock", RedisUrl("single", False, (), "/run/r.sock")),
        ("unix://u:p@/r%20x.sock?db=2", RedisUrl("single", False, (), "/r x.sock", 2, login=Login("u", "p"))),
        (
            "redis+sentinel://a,b:1,[::1]:2/mymaster/4",
            RedisUrl("sentinel", False, (("a", 26379), ("b", 1), ("::1", 2)), "", 4, "mymaster"),
        ),
        (
            "rediss+sentinel://u:p@a/m?sentinel_username=su&sentinel_password=s%26p",
            RedisUrl("sentinel", True, (("a", 26379),), "", 0, "m", Login("u", "p"), Login("su", "s&p")),
        ),
        ("redis+cluster://a,b:7", RedisUrl("cluster", False, (("a", 6379), ("b", 7)))),
        ("rediss+cluster://:p@a/0", RedisUrl("cluster", True, (("a", 6379),), login=Login(None, "p"))),
    ],
)
def test_each_form(text: str, expected: RedisUrl) -> None:
    assert parse_redis_url(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a:6379",
        "http://s3cret@a",
        "redis:s3cret@a",
        "redis://",
        "redis://s3cret@",
        "redis://:s3cret@a:0",
        "redis://:s3cret@a:70000",
        "redis://:s3cret@a:port",
        "redis://:s3cret@a b",
        "redis://:s3cret#@a",
        "redis://:s3cr\u00e9t@a",
        "redis://:s3cret/x@a",
        "redis://:s3cret@a/x",
        "redis://:s3cret@a/1/2",
        "redis://:s3cret@a,b",
        "redis://:s3cret@a?db=1",
        "redis://:s3cret@[::1",
        "redis://:s3cret@[::1]x",
        "redis://:s3cret@[::g]:1",
        "redis://:s3cret@::1",
        "unix://s3cret/path",
        "unix://",
        "unix:///s3cret?db=x",
        "unix:///s3cret?db=1&db=2",
        "unix:///s3cret?other=1",
        "unix:///s3cret?db",
        "redis+sentinel://:s3cret@a,b",
        "redis+sentinel://:s3cret@a,b/",
        "redis+sentinel://:s3cret@a,,b/m",
        "redis+sentinel://:s3cret@a/m/x",
        "redis+sentinel://a/m?password=s3cret",
        "redis+cluster://:s3cret@a/1",
        "redis+cluster://:s3cret@a?x=1",
        "redis+cluster://:s3cret@" + ",".join(["a"] * 101),
    ],
)
def test_what_is_wrong_is_said_without_the_secret(text: str) -> None:
    with pytest.raises(ValueError, match=r"URL|Cluster") as raised:
        parse_redis_url(text)
    assert "s3cr" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_a_password_is_not_shown() -> None:
    shown = repr(parse_redis_url("redis+sentinel://u:s3cret@a/m?sentinel_password=s3cret"))
    assert "s3cret" not in shown
