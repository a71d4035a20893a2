"""What a policy that may refuse a request looks like to the pipeline.

Gates are asked in the order of `POLICIES`, each synchronously. One that has to wait (for Redis, for a place in a
queue) answers WAIT, and is awaited then: so a request that nobody makes wait pays for no coroutine. What a gate
takes it gives back through `exchange.at_end`; what it wants the client to see it appends to `exchange.stamp`. What
`check` leaves for `wait` it keeps in `exchange.held`, for others may be asked in between.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, Literal, Protocol

from gateway.errors import GatewayError
from gateway.exchange import Exchange


class _Wait(Enum):
    WAIT = "wait"


#: A gate's answer when only `wait` can tell.
WAIT: Final = _Wait.WAIT

#: Whether what stands under flags is there for an exchange; it says the same to one exchange each time.
Met = Callable[[Exchange], bool]

Verdict = GatewayError | Literal[_Wait.WAIT] | None


class Gate(Protocol):
    """Lets an exchange pass, or says why not."""

    def check(self, exchange: Exchange, now: float) -> Verdict:
        """None lets it pass, an error refuses it, WAIT asks to be awaited. `now` is monotonic seconds."""

    async def wait(self, exchange: Exchange) -> GatewayError | None:
        """Called after WAIT only: None lets it pass. Cancelled when the client leaves."""
