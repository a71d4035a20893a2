"""Clients by address and network."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags.addresses import inside, networks
from gateway.rules.flags.compiling import Notes
from gateway.rules.flags.context import Context, reader

read = reader("remoteAddress")


@pytest.mark.parametrize(
    ("texts", "address", "held"),
    [
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["10.1.2.3/8"], "10.200.0.1", True),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", True),
        (["::ffff:10.0.0.0/104"], "10.0.0.1", True),
        (["2001:db8::/32"], "2001:db8:1::", True),
        (["2001:db8::/32"], "10.0.0.1", False),
        (["0.0.0.0/0"], "2001:db8::", False),
        ([], "10.0.0.1", False),
        (["10.0.0.0/8"], "nonsense", False),
        (["10.0.0.0/8"], "", False),
        (["10.0.0.0/8"], None, False),
    ],
)
def test_who_is_inside(texts: list[str], address: str | None, held: bool) -> None:
    notes = Notes()
    assert inside(read, networks(texts, (), notes))(Context(address=address)) == held
    assert notes.wrong == []


def test_what_is_no_address_is_noted_and_the_others_count() -> None:
    notes = Notes()
    test = inside(read, networks(["127.invalid", "10.0.0.0/33", "10.0.0.1"], ("IPs",), notes))
    assert test(Context(address="10.0.0.1"))
    assert [one.at for one in notes.wrong] == [("IPs", 0), ("IPs", 1)]


@given(st.ip_addresses(v=4), st.lists(st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), max_size=3))
def test_as_the_standard_library_says(address: object, given_: list[tuple[object, int]]) -> None:
    texts = [f"{base}/{prefix}" for base, prefix in given_]
    expected = any(ip_address(str(address)) in ip_network(text, strict=False) for text in texts)
    assert inside(read, networks(texts, (), Notes()))(Context(address=str(address))) == expected
