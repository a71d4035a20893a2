"""`gateway demo`: the gateway in front of an example app, with a stand-in AI provider behind it.

App and provider run in this process. The gateway runs as it does in production, as a process of its own, which is
given their addresses in its environment and ends with this one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack

from aiohttp import web

from gateway.demo import CONFIG, tour
from gateway.demo.app import make_app
from gateway.demo.child import Child
from gateway.demo.provider import KEY, make_provider
from gateway.demo.serving import HOST, serving

FAILED, UNAVAILABLE = 1, 3
START = 30.0  # seconds that the gateway has to get ready
END = 60.0  # seconds that it has to end, more than its drain takes


def add(parser: argparse.ArgumentParser) -> None:
    """Register the arguments."""
    parser.add_argument("--config", metavar="FILE", default=str(CONFIG), help="run on this config instead")
    parser.add_argument("--app-port", metavar="PORT", type=int, default=3000, help="the example app's (3000)")
    parser.add_argument("--provider-port", metavar="PORT", type=int, default=3001, help="the provider's (3001)")


def main(args: argparse.Namespace) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP, or until the gateway ends by itself: then with its exit code."""
    return asyncio.run(_demo(args.config, args.app_port, args.provider_port))


async def _demo(config: str, app_port: int, provider_port: int) -> int:
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    async with AsyncExitStack() as servers:  # they end after the gateway, whose last requests still need them
        app = await _serve(servers, make_app(), app_port, "--app-port")
        provider = await _serve(servers, make_provider(), provider_port, "--provider-port")
        gateway = await Child.start(config, {"APP_URL": app, "PROVIDER_URL": provider, "PROVIDER_KEY": KEY})
        try:
            return await _attend(gateway, signals, app, provider)
        finally:
            await gateway.kill()


async def _serve(servers: AsyncExitStack, app: web.Application, port: int, option: str) -> str:
    """Serve `app` and return its URL. An OSError says which option chooses another port."""
    try:
        return await servers.enter_async_context(serving(app, port))
    except OverflowError:
        reason = "there is no such port"
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
    raise OSError(f"{HOST}:{port}: {reason}; {option} chooses another")


async def _attend(gateway: Child, signals: asyncio.Queue[signal.Signals], app: str, provider: str) -> int:
    """Say what to try when it is ready, end it when a signal comes, and return the exit code of it all."""
    stop = asyncio.create_task(signals.get())
    await _first(gateway.ready, gateway.ended, stop, within=START)
    if gateway.ready.done():
        print(tour.text(gateway.addresses, app, provider), flush=True)
        await _first(gateway.ended, stop)
    if stop.done():
        gateway.signal(signal.SIGINT if stop.result() is signal.SIGINT else signal.SIGTERM)
        # A second signal comes from someone who does not want to wait.
        await _first(gateway.ended, asyncio.create_task(signals.get()), within=END)
    if not gateway.ended.done():
        print("gateway: it does not get ready, or does not end, and is killed", file=sys.stderr)
        return FAILED
    code = gateway.ended.result()
    if code == UNAVAILABLE:
        names = "GATEWAY_INGRESS, GATEWAY_EGRESS, GATEWAY_METRICS and GATEWAY_ADMIN"
        print(f"gateway: {names} choose other addresses, as HOST:PORT", file=sys.stderr)
    return code if code >= 0 else FAILED


async def _first(*tasks: asyncio.Task[object], within: float | None = None) -> None:
    await asyncio.wait(tasks, timeout=within, return_when=asyncio.FIRST_COMPLETED)
