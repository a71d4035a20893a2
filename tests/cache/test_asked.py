"""What a request wants of a cache, read from it."""

from gateway.cache.asked import FIELDS, Reading
from gateway.cache.fetch import NOBODY
from gateway.exchange import NO_BODY, Exchange
from gateway.policies.cache import Cache
from gateway.rules import request_head
from gateway.rules.field_lines import COLON, END, Pieces
from gateway.rules.request_head import Interest, Noted

INTEREST = Interest("X-Correlation-ID", ingress=True, also=FIELDS)


def reading(**settings: object) -> Reading:
    said = Cache.model_validate(settings)
    tags = frozenset(tag.encode() for tag in said.tags)
    return Reading(said.cache_key(b"ingress/r"), said.sharing(), tags, said.body, said.credentials)


def exchange(
    target: bytes = b"/a?b=1", *fields: tuple[bytes, bytes], method: bytes = b"GET", version: str = "1.1"
) -> Exchange:
    kept: Pieces = []
    noted: Noted = {}
    for name, value in [(b"Host", b"shop.example"), *fields]:
        lower = name.lower()
        if lower in INTEREST.noted:
            noted.setdefault(lower, []).append(value)
        if lower not in INTEREST.noted or lower in INTEREST.passed_on:
            kept += (name, COLON, value, END)
    head = request_head.read(method, target, version, kept, noted)
    return Exchange("ingress", head, NO_BODY, NOBODY, "192.0.2.1", 0.0)


def test_a_plain_request_has_the_key_that_a_whole_reading_gives_it() -> None:
    one = exchange()
    assert reading().plain_key(one) == reading().read(one).key


def test_only_a_plain_get_is_read_so() -> None:
    for field in ("Cookie", "Authorization", "Cache-Control", "Range", "If-None-Match", "If-Range", "Pragma"):
        assert reading().plain_key(exchange(b"/a", (field.encode(), b"a"))) is None
    assert reading().plain_key(exchange(method=b"HEAD")) is None
    assert reading(key={"body": "raw"}).plain_key(exchange()) is None
    assert reading().plain_key(exchange(b"/a", (b"Accept-Encoding", b"gzip"))) is not None


def test_head_has_the_key_of_get() -> None:
    assert reading().read(exchange(method=b"HEAD")).key == reading().read(exchange()).key


def test_two_sites_behind_a_proxy_that_asks_by_one_host_are_two() -> None:
    """A trusted proxy may name the site in X-Forwarded-Host alone; the app makes another page of each."""
    keys = set()
    for site in (b"a.example", b"b.example", b"shop.example"):
        one = exchange()
        one.host = site
        assert reading().plain_key(one) == reading().read(one).key
        assert reading().read(one).subject.host == site
        keys.add(reading().read(one).key)
    assert len(keys) == 3


def test_by_http_and_by_https_are_two() -> None:
    secure = exchange()
    secure.proto = b"https"
    assert reading().read(secure).key != reading().read(exchange()).key


def test_pragma_is_heard_from_the_old_alone() -> None:
    field = (b"Pragma", b"no-cache")
    assert not reading().read(exchange(b"/a", field)).wanted.no_cache
    assert reading().read(exchange(b"/a", field, version="1.0")).wanted.no_cache


def test_a_reload_wants_the_origins_word() -> None:
    for said in (b"no-cache", b"max-age=0"):
        assert reading().read(exchange(b"/a", (b"Cache-Control", said))).insists
    assert not reading().read(exchange(b"/a", (b"Cache-Control", b"max-age=10"))).insists


def test_content_and_whoever_sends_it_make_the_key() -> None:
    posts = reading(methods=["GET", "POST"])
    key = posts.read(exchange(method=b"POST"), b'{"a":1}').key
    assert posts.read(exchange(method=b"POST"), b'{"a":2}').key != key
    assert posts.read(exchange(b"/a?b=1", (b"Authorization", b"Bearer x"), method=b"POST"), b'{"a":1}').key != key
    assert posts.read(exchange(b"/a?b=1", (b"Anthropic-Version", b"1"), method=b"POST"), b'{"a":1}').key != key
    assert posts.read(exchange(b"/a?b=1", (b"User-Agent", b"1"), method=b"POST"), b'{"a":1}').key == key
