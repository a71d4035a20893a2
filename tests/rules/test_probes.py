"""A kubelet's probes are told from requests that only came through a proxy, from outside, or from somebody else."""

from __future__ import annotations

import pytest

from gateway.rules.probes import FIELD, is_kube_probe
from gateway.rules.request_head import Interest
from tests.support.exchanges import read

INTEREST = Interest("X-Correlation-ID", ingress=True, also=frozenset({FIELD}))
HOST = (b"Host", b"10.0.0.7:8080")
AGENT = (b"User-Agent", b"kube-probe/1.31")


def is_probe(*fields: tuple[bytes, bytes], method: bytes = b"GET", peer: str = "10.0.0.1") -> bool:
    return is_kube_probe(read(method, b"/livez", [HOST, *fields], interest=INTEREST), peer)


@pytest.mark.parametrize("peer", ["10.0.0.1", "127.0.0.1", "169.254.1.1", "100.64.3.2", "::1", "fd00::1", "fe80::1"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_from_the_node(peer: str, method: bytes) -> None:
    assert is_probe(AGENT, method=method, peer=peer)


@pytest.mark.parametrize("peer", ["8.8.8.8", "2600::1", ""])
def test_not_from_outside(peer: str) -> None:
    assert not is_probe(AGENT, peer=peer)


@pytest.mark.parametrize("field", [b"X-Forwarded-For", b"Forwarded"])
def test_not_through_a_proxy(field: bytes) -> None:
    assert not is_probe(AGENT, (field, b"for=8.8.8.8"))


def test_not_another_method() -> None:
    assert not is_probe(AGENT, method=b"POST")


@pytest.mark.parametrize("agent", [b"curl/8", b"Kube-probe/1.31", b"x kube-probe/1.31", b""])
def test_not_another_agent(agent: bytes) -> None:
    assert not is_probe((b"User-Agent", agent))
    assert not is_probe()
