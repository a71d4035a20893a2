"""A process's life round a gateway: signals, the config file's changes, draining, the end.

    SIGTERM ──> not ready, all served ── drain.delay ──> ingress finishes ──> egress finishes ──> the end
    the admin API ──> the same, but egress, where there is one, goes on until SIGTERM or SIGINT

SIGINT is SIGTERM without the delay; either of them again changes nothing, but SIGINT ends the delay. SIGHUP, or the
file's content changing, or that of a file filled into it, reads the config again.

What may use egress is what ingress has under way, so egress stays for as long. By the admin API a preStop hook asks:
the app's container ends then, this one after it, and the app may call out to its last moment.
"""

from __future__ import annotations

import asyncio
import hashlib
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import watchfiles

from gateway.assembly import Gateway
from gateway.settings import ConfigError, Settings, fingerprint
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics

#: Where the system tells nothing of changes (some network file systems), they are seen after so many seconds; and
#: so are those made just before the watch began.
_LOOK_ANYWAY = 1

#: A watch that has failed (the directory is gone, say) is begun again after so many seconds.
_WATCH_AGAIN = 10

#: How long a process that is to end shows that it has drained, in seconds: where `gateway drain` was run beside it in
#: its container, it must have ended by itself before the first process takes it along.
_SEEN = 1.5

#: At most so many of a wrong config's mistakes go into its log line.
_MISTAKES_SHOWN = 20


class Lifecycle:
    """Runs a gateway until a signal ends it. `read` reads the settings again; None when there is no file.

    `seen` is the file's digest from before the gateway's settings were read: what has changed since is read again.
    """

    def __init__(
        self,
        gateway: Gateway,
        log: Log,
        metrics: Metrics,
        path: str | None,
        read: Callable[[], Settings] | None,
        seen: bytes | None = None,
    ) -> None:
        self._gateway = gateway
        self._log = log
        self._metrics = metrics
        self._path = path
        self._read = read
        #: Whether a signal has come, and whether ingress is to drain, by whoever's word.
        self._stop = asyncio.Event()
        self._drain = asyncio.Event()
        self._hurry = asyncio.Event()
        self._stopped_at = 0.0
        self._reload = asyncio.Event()
        self._seen = seen
        self._files = dict(gateway.settings.files)

    async def run(self) -> None:
        """Serve until told to stop, then drain. Raises OSError when an address cannot be had at the start."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._terminate)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        self._gateway.told_to_drain = self._drain.set
        await self._gateway.start()
        tasks = [loop.create_task(self._reloads())]
        if self._path is not None:
            tasks.append(loop.create_task(self._watch(Path(self._path))))
        try:
            await self._drain.wait()
            self._gateway.begin_draining()
        finally:
            # A reload that ended later would bring back what the draining has ended.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._end()

    def _terminate(self) -> None:
        if not self._stop.is_set():
            self._stopped_at = asyncio.get_running_loop().time()
        self._stop.set()
        self._drain.set()

    def _interrupt(self) -> None:
        self._hurry.set()
        self._terminate()

    async def _end(self) -> None:
        gateway, loop = self._gateway, asyncio.get_running_loop()
        drain = gateway.settings.drain
        await _wait(self._hurry, drain.delay)
        deadline = loop.time() + drain.timeout
        await gateway.drain_ingress(deadline)
        if gateway.has_egress:
            await self._stop.wait()
        else:
            await _wait(self._stop, _SEEN)
        await gateway.end(max(deadline, self._stopped_at + drain.timeout))

    async def _reloads(self) -> None:
        """One reload at a time, however many are asked for meanwhile."""
        while True:
            await self._reload.wait()
            self._reload.clear()
            if self._drain.is_set():
                return
            if self._read is None:
                self._log.info("reload_ignored", reason="there is no config file")
                continue
            self._seen = await asyncio.to_thread(digest, self._path)
            try:
                settings = await asyncio.to_thread(self._read)
                self._files = dict(settings.files)
                await self._gateway.apply(settings)
            except ConfigError as error:
                # What it wants may only come: of a ConfigMap and a Secret that belong together one is there first.
                self._files = error.files
                self._refused([str(mistake) for mistake in error.mistakes[:_MISTAKES_SHOWN]])
            except Exception as error:  # noqa: BLE001 - whatever a reload meets, what runs goes on running
                self._refused([f"{type(error).__name__}: {error}"])
            else:
                self._metrics.config.reloaded(ok=True, at=time.time())
                self._log.info("config_reloaded")

    def _refused(self, mistakes: list[str]) -> None:
        self._metrics.config.reloaded(ok=False, at=time.time())
        self._log.error("config_refused", mistakes=mistakes)

    async def _watch(self, path: Path) -> None:
        """Ask for a reload when the file's content is another one, or that of a file that is filled into it.

        The directory is watched, not the file: a ConfigMap changes by a symlink beside it, editors by a rename. The
        files filled in may be anywhere; they are looked at as often as anyway.
        """
        while True:
            try:
                async for _ in watchfiles.awatch(
                    path.parent,
                    recursive=False,
                    debounce=200,
                    step=50,
                    rust_timeout=_LOOK_ANYWAY * 1000,
                    yield_on_timeout=True,
                    watch_filter=None,
                ):
                    found, files = await asyncio.to_thread(self._look)
                    if (found is not None and found != self._seen) or files != self._files:
                        self._seen, self._files = found or self._seen, files
                        self._reload.set()
            except (OSError, RuntimeError) as error:
                self._log.limited("watch", 300.0).warning("config_not_watched", error=str(error))
            await asyncio.sleep(_WATCH_AGAIN)

    def _look(self) -> tuple[bytes | None, dict[Path, bytes | None]]:
        return digest(self._path), {path: fingerprint(path) for path in self._files}


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for it, but not longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def digest(path: str | None) -> bytes | None:
    """What the file holds; None while there is no such file, and for a pipe, which can be read once."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).digest() if path is not None and Path(path).is_file() else None
    except OSError:
        return None
