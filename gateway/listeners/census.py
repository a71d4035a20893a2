"""Who is connected to a listener, and which exchanges go on for long.

A look at each connection, made when somebody asks: a request pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from gateway.exchange import Exchange
from gateway.listeners.client_connection import HEAD, IDLE, SERVING, TUNNEL, ClientConnection
from gateway.listeners.listener import Listener

State = Literal["waiting", "asking", "answering", "tunnel"]


class Seen(NamedTuple):
    """The connections of one listener, by what they do; their sum is all of them."""

    listener: str
    #: Kept alive, with no request.
    idle: int
    #: The head of a request is coming.
    reading: int
    #: For a cap, for the shared state, for the second tier of the cache.
    waiting: int
    #: For the upstream, or with its answer on the way.
    busy: int
    tunnels: int
    #: Answered for the last time.
    closing: int
    #: The most that the listener serves.
    limit: int
    #: Exchanges under way, and what each does.
    exchanges: list[tuple[Exchange, State]]


def look(listener: Listener) -> Seen:
    """The connections as they are now."""
    idle = reading = waiting = busy = tunnels = closing = 0
    exchanges: list[tuple[Exchange, State]] = []
    for connection in listener.connections:
        phase, exchange = connection.phase, connection.exchange
        if exchange is not None and phase in (SERVING, TUNNEL):
            state = _state(connection, exchange)
            exchanges.append((exchange, state))
            waiting += state == "waiting"
            busy += state in ("asking", "answering")
            tunnels += state == "tunnel"
        elif phase in (IDLE, SERVING):  # between two requests
            idle += 1
        elif phase == HEAD:
            reading += 1
        else:
            closing += 1
    return Seen(listener.name, idle, reading, waiting, busy, tunnels, closing, listener.limits.connections, exchanges)


def long_running(seen: Iterable[Seen], before: float) -> list[tuple[Exchange, State]]:
    """The exchanges that began before that time (on the monotonic clock), the longest first."""
    found = [pair for one in seen for pair in one.exchanges if pair[0].started < before]
    return sorted(found, key=_began)


def _state(connection: ClientConnection, exchange: Exchange) -> State:
    if connection.phase == TUNNEL:
        return "tunnel"
    if exchange.responded:
        return "answering"
    return "asking" if exchange.upstream else "waiting"


def _began(pair: tuple[Exchange, State]) -> float:
    return pair[0].started
