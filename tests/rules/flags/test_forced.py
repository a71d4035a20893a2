"""What testers make flags say, and who is one."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags.forced import LONGEST, MOST, Forced
from gateway.rules.request_head import Interest
from tests.support.exchanges import read

TOKEN = "correct-horse"
INTEREST = Interest("X-Correlation-ID", ingress=True, also=frozenset({b"x-feature"}))
OFFICE, ELSEWHERE = "192.0.2.7", "198.51.100.1"
FORCED = Forced("X-Feature", [ip_network("192.0.2.0/24")], TOKEN)


def forced(*values: bytes, client: str = OFFICE, by: Forced = FORCED) -> dict[str, str]:
    head = read(fields=[(b"Host", b"a"), *((b"X-Feature", value) for value in values)], interest=INTEREST)
    return dict(by.of(head, client))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], {}),
        ([b""], {}),
        ([b"A"], {"A": "on"}),
        ([b"A, B=off ,C = blue", b"D=deep red; 50%"], {"A": "on", "B": "off", "C": "blue", "D": "deep red; 50%"}),
        ([b"A, B C, =x, ,D"], {"A": "on", "D": "on"}),
        ([b"A=b=c"], {"A": "b=c"}),
        ([b"A=on, A=off"], {"A": "off"}),
        ([b"A=caf\xc3\xa9, B=\xff"], {"A": "café", "B": "\ufffd"}),
        ([b"A=" + b"x" * LONGEST], {}),
    ],
)
def test_what_is_forced(values: list[bytes], expected: dict[str, str]) -> None:
    assert forced(*values) == expected


def test_only_so_many() -> None:
    assert len(forced(b",".join(b"F%d" % number for number in range(MOST + 9)))) == MOST


@pytest.mark.parametrize(
    ("client", "value", "believed"),
    [
        (OFFICE, b"A", True),
        (OFFICE, b"A, token=wrong", True),
        (ELSEWHERE, b"A", False),
        (ELSEWHERE, b"A, token=wrong", False),
        (ELSEWHERE, b"A, token=", False),
        (ELSEWHERE, b"token=correct-horse, A", True),
        (ELSEWHERE, b"A,token=correct-horse", True),
    ],
)
def test_who_is_believed(client: str, value: bytes, believed: bool) -> None:
    assert forced(value, client=client) == ({"A": "on"} if believed else {})


def test_nobody_is_where_nobody_is_named() -> None:
    nobody = Forced("X-Feature")
    assert forced(b"A, token=", by=nobody) == forced(b"A", by=nobody) == {}
    assert forced(b"A", client="", by=FORCED) == {}


@given(st.binary(max_size=60).map(lambda raw: bytes(one for one in raw if one >= 0x20 and one != 0x7F)))
def test_whatever_comes(raw: bytes) -> None:
    for name, value in forced(raw).items():
        assert name
        assert "," not in name + value
        assert name != "token"
