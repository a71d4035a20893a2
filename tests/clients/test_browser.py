"""A real browser through ingress: the example app's page, its EventSource and its WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.clients.browser import EXECUTABLE, Page, browser
from tests.clients.conftest import Sidecar

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(EXECUTABLE is None, reason="chromium is not installed"),
]


@pytest_asyncio.fixture(loop_scope="module")
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with browser(tmp_path / "profile") as page:
        yield page


async def test_the_apps_page_works(sidecar: Sidecar, page: Page) -> None:
    gateway = sidecar.gateway
    await page.open(f"{sidecar.ingress}/")
    await page.until("document.body.dataset.events === 'works' && document.body.dataset.socket === 'works'")

    # events go on coming, one after the other and none twice
    await page.until("JSON.parse(document.getElementById('events').textContent).tick >= 3")
    ticks = await page.evaluate(
        """new Promise(done => {
            const seen = [], source = new EventSource('api/events?interval=0.01&count=50')
            source.onmessage = event => seen.push([event.lastEventId, JSON.parse(event.data).tick])
            source.onerror = () => { source.close(); done(seen) }
        })"""
    )
    assert ticks == [[str(tick), tick] for tick in range(1, 51)]

    # what is said into the WebSocket comes back, text and bytes, small and large
    assert await page.evaluate("document.getElementById('socket').textContent") == "hello"
    await page.evaluate("document.getElementById('say').value = 'grüße ☃'; document.getElementById('send').click()")
    await page.until("document.getElementById('socket').textContent === 'grüße ☃'")
    echoed = await page.evaluate(
        """new Promise((done, fail) => {
            const sent = Uint8Array.from({length: 500000}, (_, at) => at * 7 % 256)
            const echo = new WebSocket(new URL('api/ws', location).href.replace(/^http/, 'ws'))
            echo.binaryType = 'arraybuffer'
            echo.onopen = () => echo.send(sent)
            echo.onerror = fail
            echo.onmessage = event => {
                const got = new Uint8Array(event.data)
                const same = got.length === sent.length && got.every((byte, at) => byte === sent[at])
                echo.onclose = closed => done([same, closed.wasClean, closed.code])
                echo.close(1000)
            }
        })"""
    )
    assert echoed == [True, True, 1000]

    # the browser and the gateway tell the same
    correlation_id = await page.evaluate("document.getElementById('correlation').textContent")
    line = await gateway.access_line(correlation_id=correlation_id)
    assert (line["listener"], line["path"], line["status"]) == ("ingress", "/api/echo", 200)
    closed = await gateway.access_line(path="/api/ws", status=101)
    assert min(closed["bytes_in"], closed["bytes_out"]) > 1000  # deflated by both sides

    # closing the tab ends its stream and its socket, and nothing stays in flight
    assert await gateway.metric("gateway_in_flight", scope="listener", name="ingress") == 2
    await page.close()
    await gateway.metric_is(0, "gateway_in_flight", scope="listener", name="ingress")
    await gateway.access_line(path="/api/events", status=499)
