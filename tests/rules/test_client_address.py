"""Who the client is behind proxies, and what the app is told of it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import client_address
from gateway.rules.client_address import ClientAddress, TrustedProxies, resolve

NOBODY = TrustedProxies(())
PROXIES = TrustedProxies([ip_network("10.0.0.0/8"), ip_network("192.0.2.7/32"), ip_network("fd00::/8")])
PEER = "10.0.0.1"


def by_xff(*values: bytes, peer: str = PEER) -> str:
    return resolve(peer, PROXIES, list(values), []).client


def by_forwarded(*values: bytes) -> ClientAddress:
    return resolve(PEER, PROXIES, [], list(values))


# Whom to believe


def test_nobody_is_believed_by_default() -> None:
    found = resolve("10.0.0.1", NOBODY, [b"1.1.1.1"], [b"for=2.2.2.2;proto=https"])
    assert found == ClientAddress("10.0.0.1", None, None, False)


@pytest.mark.parametrize("peer", ["11.0.0.1", "192.0.2.8", "fe80::1", "::1", "", "unix:", "10.0.0.1.evil"])
def test_an_untrusted_peer_is_never_believed(peer: str) -> None:
    assert resolve(peer, PROXIES, [b"1.1.1.1"], [b"for=2.2.2.2"]) == ClientAddress(peer)


def test_a_trusted_peer_that_says_nothing_is_the_client_itself() -> None:
    assert resolve(PEER, PROXIES, [], []) == ClientAddress(PEER, None, None, True)
    assert resolve(PEER, PROXIES, [b""], [b" , "]) == ClientAddress(PEER, None, None, True)


@pytest.mark.parametrize(
    ("networks", "address", "trusted"),
    [
        (["10.0.0.0/8"], "10.255.255.255", True),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["::ffff:10.0.0.0/104"], "10.1.2.3", True),
        (["::ffff:10.0.0.0/104"], "11.1.2.3", False),
        (["0.0.0.0/0"], "8.8.8.8", True),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["::/0"], "2001:db8::1", True),
        (["::/0"], "8.8.8.8", False),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["10.0.0.0/8"], "no address", False),
    ],
)
def test_networks(networks: list[str], address: str, trusted: bool) -> None:
    assert TrustedProxies(map(ip_network, networks)).trusts(address) is trusted


# X-Forwarded-For


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([b"203.0.113.9"], "203.0.113.9"),
        ([b"6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        ([b"6.6.6.6, 203.0.113.9, 10.3.3.3, 192.0.2.7"], "203.0.113.9"),
        ([b"6.6.6.6", b"203.0.113.9,10.3.3.3"], "203.0.113.9"),
        ([b"203.0.113.9", b"", b" ,\t, "], "203.0.113.9"),
        ([b"10.9.9.9, 10.3.3.3"], "10.9.9.9"),  # all of them trusted: the first is the client
        ([b"203.0.113.9:4711"], "203.0.113.9"),
        ([b"2001:db8::0:1"], "2001:db8::1"),
        ([b"[2001:DB8::1]:443"], "2001:db8::1"),
        ([b"[2001:db8::1]"], "2001:db8::1"),
        ([b"::ffff:203.0.113.9"], "203.0.113.9"),
        ([b"6.6.6.6, ::ffff:10.3.3.3"], "6.6.6.6"),
        ([b"203.0.113.9, fd00::5"], "203.0.113.9"),
    ],
)
def test_the_first_untrusted_from_the_right_is_the_client(values: list[bytes], client: str) -> None:
    assert by_xff(*values) == client


GARBAGE = [
    b"unknown",
    b"_hidden",
    b"localhost",
    b"010.0.0.1",
    b"10.0.0.256",
    b"10.0.0",
    b"1.1.1.1.1",
    b"::ffff:1.2.3.4.5",
    b"1:2",
    b"[::1",
    b"::1]",
    b"[10.0.0.1]",
    b"1.1.1.1:port",
    b"1.1.1.1:",
    b"1.1.1.1 2.2.2.2",
    b"fe80::1%eth0",
    b"'1.1.1.1'",
    b"\xd9\xa1.1.1.1",
    b"<script>",
    b"1.1.1.1\x00",
    b"0x7f.1.1.1",
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_ends_the_walk_at_the_proxy_that_wrote_it(garbage: bytes) -> None:
    assert by_xff(b"6.6.6.6, " + garbage) == PEER
    assert by_xff(b"6.6.6.6, " + garbage + b", 10.3.3.3") == "10.3.3.3"


def test_at_most_64_hops_are_walked() -> None:
    chain = b", ".join(b"10.0.%d.%d" % divmod(n, 256) for n in range(1000))
    assert by_xff(chain) == "10.0.3.168"  # the 64th from the end of 0 to 999 is 936
    assert by_xff(*chain.split(b", ")) == "10.0.3.168"
    assert by_xff(b"6.6.6.6" + b"," * 5000) == PEER


def test_x_forwarded_for_wins_over_forwarded() -> None:
    found = resolve(PEER, PROXIES, [b"203.0.113.9"], [b"for=6.6.6.6;proto=https;host=evil"])
    assert found == ClientAddress("203.0.113.9", None, None, True)


def test_forwarded_is_read_where_x_forwarded_for_is_empty() -> None:
    assert resolve(PEER, PROXIES, [b" , "], [b"for=203.0.113.9"]).client == "203.0.113.9"


# Forwarded (RFC 7239)


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([b"for=192.0.2.43"], "192.0.2.43"),
        ([b'For="[2001:db8:cafe::17]:4711"'], "2001:db8:cafe::17"),
        ([b"for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60"),
        ([b"for=192.0.2.43, for=198.51.100.17"], "198.51.100.17"),
        ([b"for=198.51.100.17, for=10.1.1.1"], "198.51.100.17"),
        ([b"for=198.51.100.17", b"for=10.1.1.1;by=10.0.0.1"], "198.51.100.17"),
        ([b'for="192.0.2.43:47011"'], "192.0.2.43"),
        ([b'for="192.0.2.43:_obf"'], "192.0.2.43"),
        ([b'for="\\1\\92.0.2.43"'], "192.0.2.43"),
        ([b'for="[::ffff:192.0.2.43]"'], "192.0.2.43"),
        ([b"by=_x;FOR=192.0.2.43;;"], "192.0.2.43"),
        ([b"for=192.0.2.43 ; proto=https"], "192.0.2.43"),
        ([b"for=6.6.6.6, for=unknown"], PEER),
        ([b"for=6.6.6.6, for=_hidden, for=10.1.1.1"], "10.1.1.1"),
        ([b'for=6.6.6.6, for="_SEVKISEK"'], PEER),
        ([b"for=6.6.6.6, proto=https"], PEER),  # a hop that tells no address
        ([b"for=6.6.6.6, for=2001:db8::1"], PEER),  # section 6: must be quoted, in brackets
        ([b'for=6.6.6.6, for="2001:db8::1"'], PEER),
        ([b"for=6.6.6.6, for=1.1.1.1;for=2.2.2.2"], PEER),
        ([b"for=6.6.6.6, for = 1.1.1.1"], PEER),
        ([b'for=6.6.6.6, for="1.1.1.1'], PEER),
        ([b"for=6.6.6.6, nonsense"], PEER),
        ([b"for=6.6.6.6, , ,"], "6.6.6.6"),
    ],
)
def test_forwarded(values: list[bytes], client: str) -> None:
    assert by_forwarded(*values).client == client


def test_commas_and_quotes_within_a_quoted_string_belong_to_it() -> None:
    element = rb'for=203.0.113.9;x="a, for=6.6.6.6";y="\", for=7.7.7.7"'
    assert by_forwarded(element).client == "203.0.113.9"
    assert by_forwarded(element + b", for=10.1.1.1").client == "203.0.113.9"


def test_proto_and_host_are_those_that_the_client_used() -> None:
    found = by_forwarded(b'for=203.0.113.9;proto=HTTPS;host="Example.com:8443", for=10.1.1.1;proto=http;host=inner')
    assert found == ClientAddress("203.0.113.9", b"https", b"Example.com:8443", True)
    assert by_forwarded(b"for=203.0.113.9, for=10.1.1.1;proto=http") == ClientAddress("203.0.113.9", None, None, True)


@pytest.mark.parametrize("host", [b"a b", b"a/b", b"a@b", b"", b"[::1", b"a:b", b"x" * 256, b"a\\\r\\\nb"])
def test_a_host_that_is_none_is_not_passed_on(host: bytes) -> None:
    assert by_forwarded(b'for=203.0.113.9;host="' + host + b'"').host is None


def test_input_made_to_be_slow_is_read_all_the_same() -> None:
    for value in (
        b'for="' + b"," * 60_000,
        b"; " * 30_000,
        b"a=b;" * 15_000,
        b'a="' + b"\\," * 30_000,
        b"," * 60_000,
        b"=," * 30_000,
        b'x="",' * 12_000,
    ):
        assert by_forwarded(value).client == PEER
        assert by_forwarded(value, b"for=203.0.113.9").client == "203.0.113.9"
        client_address.forwarded(PEER, [value], True)
        by_xff(value)


# Properties

addresses = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.ip_addresses(v=4, network="10.0.0.0/8"),
    st.ip_addresses(v=4, network="10.0.0.0/8"),
    st.ip_addresses(v=6, network="fd00::/8"),
).map(lambda address: str(getattr(address, "ipv4_mapped", None) or address))


def trusted(address: str) -> bool:
    """Independent of what is tested: by ipaddress itself."""
    parsed = ip_address(address)
    return any(parsed in ip_network(network) for network in ("10.0.0.0/8", "192.0.2.7/32", "fd00::/8"))


def expected_client(chain: list[str]) -> str:
    """`chain` ends with the peer."""
    for address in reversed(chain):
        if not trusted(address):
            return address
    return chain[0]


@st.composite
def written(draw: st.DrawFn, address: str, *, forwarded: bool) -> str:
    """One of the ways to write an address in an element."""
    v6 = ":" in address
    port = draw(st.sampled_from(["", ":443", ":65535"]))
    node = f"[{address}]{port}" if v6 else address + port
    if not forwarded:
        return draw(st.sampled_from([node, address])) if v6 else node
    text = node if not v6 and not port and draw(st.booleans()) else f'"{node}"'
    before = draw(st.sampled_from(["", "by=_a;", 'host="x, for=6.6.6.6";', ";"]))
    after = draw(st.sampled_from(["", ";proto=https", r';x="\", for=7.7.7.7"', ";"]))
    return f"{before}{draw(st.sampled_from(['for', 'For']))}={text}{after}"


@st.composite
def chains(draw: st.DrawFn, *, forwarded: bool) -> tuple[list[str], list[bytes]]:
    """A chain of addresses, the peer last, and the fields that tell of all but the peer."""
    chain = draw(st.lists(addresses, min_size=1, max_size=8))
    values: list[bytes] = []
    for address in chain[:-1]:
        element = draw(written(address, forwarded=forwarded)).encode()
        if values and draw(st.booleans()):
            values[-1] += draw(st.sampled_from([b",", b", ", b" ,\t", b", ,"])) + element
        else:
            values.append(element)
    return chain, values


@given(chains(forwarded=False))
def test_the_client_by_x_forwarded_for_stands_right_of_all_that_an_untrusted_one_said(
    case: tuple[list[str], list[bytes]],
) -> None:
    chain, values = case
    assert resolve(chain[-1], PROXIES, values, []).client == expected_client(chain)


@given(chains(forwarded=True))
def test_the_client_by_forwarded_stands_right_of_all_that_an_untrusted_one_said(
    case: tuple[list[str], list[bytes]],
) -> None:
    chain, values = case
    assert resolve(chain[-1], PROXIES, [], values).client == expected_client(chain)


HOSTILE = st.lists(
    st.sampled_from(
        [b'"', b"\\", b",", b";", b"=", b"for=6.6.6.6", b'for="', b" ", b"10.0.0.1", b"for=10.0.0.1", b"\xff"]
    )
).map(b"".join)


@given(HOSTILE, chains(forwarded=True), st.booleans())
def test_nothing_an_untrusted_sender_wrote_changes_how_a_proxy_is_read(
    hostile: bytes, case: tuple[list[str], list[bytes]], joined: bool
) -> None:
    """The attacker at 203.0.113.66 sends `hostile`; each proxy after it appends its element."""
    _, values = case
    honest = [b"for=203.0.113.66", *values]
    attacked = [hostile + b", " + honest[0], *values] if joined else [hostile, *honest]
    assert resolve(PEER, PROXIES, [], attacked) == resolve(PEER, PROXIES, [], honest)


@given(st.lists(HOSTILE, max_size=3), st.lists(HOSTILE, max_size=3))
def test_whatever_comes_the_client_is_an_address(xff: list[bytes], forwarded: list[bytes]) -> None:
    ip_address(resolve(PEER, PROXIES, xff, forwarded).client)


# What the app is told


def test_the_peer_is_appended_to_what_a_trusted_one_sent_and_stands_alone_otherwise() -> None:
    assert client_address.forwarded_for(PEER, [b"1.1.1.1, 2.2.2.2", b" 3.3.3.3 ", b""], True) == (
        b"1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.1"
    )
    assert client_address.forwarded_for(PEER, [], True) == b"10.0.0.1"
    assert client_address.forwarded_for("8.8.8.8", [b"1.1.1.1"], False) == b"8.8.8.8"
    assert client_address.forwarded_for("2001:db8::1", [], False) == b"2001:db8::1"


@pytest.mark.parametrize(
    ("peer", "values", "believed", "sent"),
    [
        (PEER, [b"for=1.1.1.1;proto=https"], True, b"for=1.1.1.1;proto=https, for=10.0.0.1"),
        (PEER, [b"for=1.1.1.1", b"", b"for=2.2.2.2"], True, b"for=1.1.1.1, for=2.2.2.2, for=10.0.0.1"),
        ("fd00::1", [b"for=1.1.1.1"], True, b'for=1.1.1.1, for="[fd00::1]"'),
        ("", [b"for=1.1.1.1"], True, b"for=1.1.1.1, for=unknown"),
        (PEER, [], True, None),
        (PEER, [b" "], True, None),
        ("8.8.8.8", [b"for=1.1.1.1"], False, None),
        (PEER, [b'for="1.1.1.1'], True, b"for=10.0.0.1"),  # ours would be inside its quotes
    ],
)
def test_forwarded_is_continued_where_a_believed_one_came(
    peer: str, values: list[bytes], believed: bool, sent: bytes | None
) -> None:
    assert client_address.forwarded(peer, values, believed) == sent


@given(chains(forwarded=True))
def test_the_next_gateway_finds_the_same_client(case: tuple[list[str], list[bytes]]) -> None:
    chain, values = case
    peer = "10.0.0.1"
    told = client_address.forwarded(peer, values, True)
    if told is None:
        assert values == []
        return
    assert resolve("10.0.0.2", PROXIES, [], [told]).client == expected_client([*chain[:-1], peer, "10.0.0.2"])


@pytest.mark.parametrize(
    ("peer", "private"),
    [
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.1.1", True),
        ("127.0.0.1", True),
        ("100.64.0.1", True),
        ("::ffff:10.1.2.3", True),
        ("::1", True),
        ("fd00::1", True),
        ("fe80::1", True),
        ("8.8.8.8", False),
        ("100.128.0.1", False),
        ("2606:4700::1111", False),
        ("", False),
        ("app", False),
    ],
)
def test_private_peers(peer: str, private: bool) -> None:
    assert client_address.is_private(peer) is private


@pytest.mark.parametrize(
    ("given_by_socket", "canonical"),
    [("::ffff:10.1.2.3", "10.1.2.3"), ("10.1.2.3", "10.1.2.3"), ("::1", "::1"), ("fe80::1%eth0", "fe80::1")],
)
def test_a_peers_canonical_form(given_by_socket: str, canonical: str) -> None:
    assert client_address.canonical(given_by_socket) == canonical
