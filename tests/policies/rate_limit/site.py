"""An ingress with rate limits and no listener: its gates, in a memory whose clocks a test moves."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.gate import WAIT, Verdict
from gateway.policies import rate_limit
from gateway.policies.rate_limit import RateLimit
from gateway.rules.request_head import Interest
from gateway.settings import Ingress
from gateway.state.leases import Leases
from gateway.state.memory import MemoryBuckets
from gateway.state.rate_rules import Counts, RateLimits
from tests.settings.configs import read
from tests.state.limits import SharedMemory
from tests.support.exchanges import exchange

Sent = tuple[tuple[bytes, bytes], ...]


class Heard:
    """Keeps the events it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def limited(self, rule: str, key: str, exchange: Exchange, *, shadow: bool = False) -> None:
        self.events.append(("shadow" if shadow else "limited", rule, key))

    def blocked(self, rule: str, key: str, exchange: Exchange) -> None:
        self.events.append(("blocked", rule, key))


class Site:
    """An ingress with a route r at /r/:id, its limits in this process, and a clock that a test moves."""

    def __init__(self, route: str, own: str = "[]", user: str = "header:X-User-Id") -> None:
        text = f"""
ingress:
  user: {user}
  rate_limit: {own}
  routes:
    - {{name: r, path: "/r/:id", upstream: app, rate_limit: {route}}}
    - {{name: other, path: /other, upstream: app}}
    - {{name: free, path: /free, upstream: app, rate_limit: false}}
upstreams: {{app: {{url: "http://127.0.0.1:3000"}}}}
"""
        settings = read(text).ingress
        assert settings is not None
        self.settings: Ingress = settings
        self.heard = Heard()
        self.now = 1000.0
        self.wall = 1_700_000_000.0
        self.local = MemoryBuckets(wall=lambda: self.wall)
        self.limits = RateLimits(self.local, MemoryBuckets(), clock=lambda: self.now)
        self.build()

    def share(self, shared: SharedMemory, *, leases: bool = False) -> None:
        """From here on there is a shared state."""
        self.limits.shared = shared
        if leases:
            self.limits.leases = Leases(shared, lambda: shared.replicas, clock=lambda: self.now)
        self.build()

    def build(self) -> None:
        """Read the config again."""
        built = rate_limit.build("ingress", self.settings, self.limits, self.heard)
        self.limits.install("ingress", built.rules)
        self.gates, self.unrouted = built.gates, built.unrouted
        also = rate_limit.fields_read("ingress", self.settings)
        self.interest = Interest("X-Correlation-ID", ingress=True, also=also)

    def gate(self, route: int = 0) -> RateLimit:
        found = self.gates[route]
        assert found is not None
        return found

    def exchange(
        self, *fields: tuple[bytes, bytes], client: str = "192.0.2.1", target: bytes = b"/r/1", method: bytes = b"GET"
    ) -> Exchange:
        made = exchange(method, target, fields, interest=self.interest, peer=client)
        made.route = self
        return made

    def check(self, *fields: tuple[bytes, bytes], client: str = "192.0.2.1", route: int = 0) -> Verdict:
        return self.gate(route).check(self.exchange(*fields, client=client), self.now)

    async def ask(self, asked: Exchange) -> GatewayError | None:
        verdict = self.gate().check(asked, self.now)
        return await self.gate().wait(asked) if verdict is WAIT else verdict

    def counts(self, rule: str = "ingress/r/r-1") -> Counts:
        return next(one.counts for one in self.limits.rules() if one.id == rule)


def user(name: bytes) -> tuple[bytes, bytes]:
    return b"X-User-Id", name


def lines(asked: Exchange) -> dict[str, str]:
    """What the stamp says, by field."""
    return dict(line.split(": ", 1) for line in asked.stamp.decode().split("\r\n") if line)
