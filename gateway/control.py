"""The listeners beside the traffic: metrics, which is for reading, and admin, which changes things."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.admin.listener import AdminListener
from gateway.admin.ports import Ports
from gateway.faults import about
from gateway.listeners.metrics import MetricsListener
from gateway.settings import Admin, Settings
from gateway.telemetry.exposition import Scraper
from gateway.telemetry.health import Health
from gateway.telemetry.log import Log

METRICS, ADMIN = "metrics", "admin"

_Address = tuple[str, int]


@dataclass(slots=True)
class _Open:
    """A listener with the address that its config names."""

    bind: _Address
    listener: MetricsListener | AdminListener


class Control:
    """Opens, moves and closes them as the config has it."""

    def __init__(self, health: Health, scraper: Scraper, ports: Ports, log: Log) -> None:
        self._health = health
        self._scraper = scraper
        self._ports = ports
        self._log = log
        self._open: dict[str, _Open] = {}

    async def prepare(self, settings: Settings) -> dict[str, _Open]:
        """Listen where it is listened nowhere yet. Raises OSError, with nothing left open, when that cannot be."""
        opened: dict[str, _Open] = {}
        try:
            for name, bind in _binds(settings).items():
                if name not in self._open or self._open[name].bind != bind:
                    opened[name] = await self._start(name, bind, settings)
        except BaseException:
            await self.abandon(opened)
            raise
        return opened

    async def abandon(self, opened: dict[str, _Open]) -> None:
        """Close what `prepare` has opened: the config could not be applied."""
        for one in opened.values():
            await one.listener.stop()

    async def settle(self, opened: dict[str, _Open], settings: Settings) -> None:
        """Go on with these, and close those that they replace or that are no longer wanted."""
        wanted = _binds(settings)
        for name in list(self._open):
            if name in opened or name not in wanted:
                await self._open.pop(name).listener.stop()
        self._open |= opened
        admin = self._open.get(ADMIN)
        if admin is not None and settings.admin is not None and isinstance(admin.listener, AdminListener):
            admin.listener.reconfigure(settings.admin.bind.host, _token(settings.admin))

    async def stop(self) -> None:
        """Close all."""
        await self.abandon(self._open)
        self._open.clear()

    async def _start(self, name: str, bind: _Address, settings: Settings) -> _Open:
        listener: MetricsListener | AdminListener
        if name == METRICS or settings.admin is None:
            listener = MetricsListener(self._health, self._scraper)
        else:
            listener = AdminListener(self._ports, bind[0], _token(settings.admin))
        with about(f"{name}.bind {shown(*bind)}"):
            host, port = await listener.start(*bind)
        self._log.info("listening", listener=name, address=shown(host, port))
        return _Open(bind, listener)


def _token(settings: Admin) -> str | None:
    return None if settings.token is None else settings.token.get_secret_value()


def _binds(settings: Settings) -> dict[str, _Address]:
    sections = {METRICS: settings.metrics, ADMIN: settings.admin}
    return {name: (one.bind.host, one.bind.port) for name, one in sections.items() if one is not None}


def shown(host: str, port: int) -> str:
    """An address as people write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
