"""Whose word about the client is believed, and what the app is told; what the fields mean is the rules' business."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Exchange
from gateway.policies.trusted_proxies import ClientAddress
from tests.support.exchanges import EGRESS, Fields, exchange

NETWORKS = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
PROXY, STRANGER, PRIVATE = "10.1.2.3", "8.8.4.4", "192.168.1.1"


def opened(
    peer: str, fields: Fields = (), *, trusted: bool = True, ingress: bool = True, version: str = "1.1"
) -> tuple[Exchange, list[bytes], list[str]]:
    """An exchange that the policy has seen; the lines it added, and whom it warned of."""
    warned: list[str] = []
    policy = ClientAddress(NETWORKS if trusted else [], warned.append, ingress=ingress)
    one = (
        exchange(fields=fields, peer=peer, version=version)
        if ingress
        else exchange(fields=fields, peer=peer, interest=EGRESS)
    )
    policy.open(one)
    lines = b"".join(one.added).split(b"\r\n")
    assert lines.pop() == b""
    return one, lines, warned


def told(xff: bytes, proto: bytes = b"http", host: bytes = b"a.example") -> list[bytes]:
    return [b"X-Forwarded-For: " + xff, b"X-Forwarded-Proto: " + proto, b"X-Forwarded-Host: " + host]


def test_a_client_that_speaks_to_us_itself() -> None:
    for trusted in (True, False):
        one, lines, warned = opened(STRANGER, trusted=trusted)
        assert one.client == STRANGER
        assert lines == told(STRANGER.encode())
        assert warned == []


def test_a_proxy_that_says_nothing_is_the_client() -> None:
    one, lines, _ = opened(PROXY)
    assert one.client == PROXY
    assert lines == told(PROXY.encode())


def test_a_trusted_proxys_word_is_taken_and_passed_on() -> None:
    fields = [
        (b"X-Forwarded-For", b"203.0.113.9"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"www.example"),
    ]
    one, lines, warned = opened(PROXY, fields)
    assert (one.client, one.proto, one.host) == ("203.0.113.9", b"https", b"www.example")
    assert lines == told(b"203.0.113.9, 10.1.2.3", b"https", b"www.example")
    assert warned == []


def test_forwarded_is_taken_and_passed_on_in_its_own_form_too() -> None:
    one, lines, _ = opened(PROXY, [(b"Forwarded", b'for="[2001:db8::7]:4711";proto=https;host=www.example')])
    assert (one.client, one.proto, one.host) == ("2001:db8::7", b"https", b"www.example")
    assert [line for line in lines if line.startswith(b"Forwarded: for=")]
    assert b"X-Forwarded-For: 2001:db8::7, %b" % PROXY.encode() in lines, "an app may read no other"
    assert b"X-Forwarded-Proto: https" in lines


@pytest.mark.parametrize("values", [[b"http", b"https"], [b"http, https"], [b"http,https "]])
def test_of_several_protocols_the_nearest_proxys_counts(values: list[bytes]) -> None:
    one, _, _ = opened(PROXY, [(b"X-Forwarded-Proto", value) for value in values])
    assert one.proto == b"https"


LIES = st.lists(
    st.tuples(
        st.sampled_from(
            [b"X-Forwarded-For", b"x_forwarded_for", b"Forwarded", b"X-Forwarded-Proto", b"X-FORWARDED-HOST"]
        ),
        st.sampled_from(
            [b"203.0.113.9", b"for=203.0.113.9;proto=https", b"https", b"evil.example", b"", b"10.0.0.1, 10.0.0.2"]
        ),
    ),
    max_size=5,
)


@given(LIES, st.sampled_from([STRANGER, PRIVATE, "2001:db8::1", "127.0.0.1"]), st.booleans())
def test_nobody_elses_is_whatever_they_say(fields: list[tuple[bytes, bytes]], peer: str, trusted: bool) -> None:
    one, lines, _ = opened(peer, fields, trusted=trusted)
    assert (one.client, one.proto, one.host) == (peer, b"http", b"a.example")
    assert len(lines) == 3
    assert lines[1:] == told(b"")[1:]
    assert peer.encode() in lines[0]
    assert b"203.0.113.9" not in b"".join([*lines, *one.head.kept])


def test_a_private_peer_whose_word_is_dropped_is_told_of_once() -> None:
    warned: list[str] = []
    policy = ClientAddress([], warned.append, ingress=True)
    for peer in (STRANGER, PRIVATE, PRIVATE, PROXY):
        policy.open(exchange(fields=[(b"X-Forwarded-For", b"203.0.113.9")], peer=peer))
        policy.open(exchange(peer=peer))
    assert warned == [PRIVATE]


def test_on_egress_nothing_is_believed_added_or_dropped() -> None:
    fields = [(b"X-Forwarded-For", b"203.0.113.9"), (b"Forwarded", b"for=1.2.3.4")]
    one, lines, warned = opened(PROXY, fields, ingress=False)
    assert (lines, warned, one.client) == ([], [], PROXY)
    assert b"".join(one.head.kept) == b"X-Forwarded-For: 203.0.113.9\r\nForwarded: for=1.2.3.4\r\n"


def test_a_request_without_a_host_has_no_field_for_it() -> None:
    one = exchange(version="1.0", peer=STRANGER)
    one.head.host = b""
    ClientAddress([], lambda peer: None, ingress=True).open(one)
    assert b"X-Forwarded-Host" not in b"".join(one.added)


def test_what_is_no_scheme_and_no_host_is_not_passed_on_for_one() -> None:
    one, lines, _ = opened(PROXY, [(b"X-Forwarded-Proto", b"<script>"), (b"X-Forwarded-Host", b"a b")])
    assert (one.proto, one.host) == (b"http", b"a.example")
    assert b"X-Forwarded-Proto: http" in lines
    assert b"X-Forwarded-Host: a.example" in lines
