"""A stampede's waves are what the origin and the clients saw."""

import asyncio

from tests.bench import stampede


def _origin() -> type[stampede.Origin]:
    return type("OneOrigin", (stampede.Origin,), {"number": 7})


def test_with_nothing_before_the_origin_it_sees_all_clients() -> None:
    async def wave() -> stampede.Wave:
        origin = _origin()
        server = await asyncio.get_running_loop().create_server(origin, "127.0.0.1", 0, backlog=1024)
        async with server:
            return await stampede.stampede(server.sockets[0].getsockname()[1], "/", origin)

    seen = asyncio.run(wave())
    assert (seen.requests, seen.stale, seen.wrong) == (stampede.CLIENTS, 0, ())
    assert stampede.DELAY * 1000 - 5 < seen.first <= seen.last


def test_answers_of_the_round_before_and_broken_ones_are_told() -> None:
    def answer(status: bytes, body: bytes) -> bytes:
        return b"HTTP/1.1 %b X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)

    kinds = [answer(b"200", b"%01024d" % 6), answer(b"200", b"%01030d" % 7), answer(b"503", b""), b""]

    class Some(asyncio.Protocol):
        count = 0

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self._transport = transport
            self._bytes = kinds[Some.count % 4]
            Some.count += 1

        def data_received(self, data: bytes) -> None:
            self._transport.write(self._bytes)
            self._transport.close()

    async def wave() -> stampede.Wave:
        server = await asyncio.get_running_loop().create_server(Some, "127.0.0.1", 0, backlog=1024)
        async with server:
            return await stampede.stampede(server.sockets[0].getsockname()[1], "/", _origin())

    seen = asyncio.run(wave())
    assert seen.stale == 50
    assert set(seen.wrong) == {
        "50 times an answer of another length",
        "50 times answered 503",
        "50 times no whole answer: closed",
    }
