"""`gateway run`: the gateway, until a signal ends it."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import sys
from contextlib import suppress

import uvloop

from gateway import settings
from gateway.assembly import Gateway
from gateway.lifecycle import Lifecycle, digest
from gateway.settings import Settings
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.health import Health
from gateway.telemetry.log import Log, capture_stdlib
from gateway.telemetry.metrics import Metrics

#: Exchanges are not cyclic; the collector need not look for cycles among them every few requests.
_GC_THRESHOLDS = (50_000, 20, 50)


def add(parser: argparse.ArgumentParser) -> None:
    """Register the arguments."""
    parser.add_argument("--config", metavar="FILE", help="the config file; changes in it are taken up while running")
    parser.add_argument(
        "--app",
        metavar="URL",
        help="where the upstream `app` is, whatever the file says; without a file, defaults in front of it",
    )
    parser.set_defaults(usage_error=parser.error)


def main(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT. ConfigError and OSError go to the caller, which knows their exit codes."""
    if args.config is None and args.app is None:
        args.usage_error("one of --config and --app is needed")
    seen = digest(args.config)
    loaded = settings.load(args.config, os.environ, args.app) if args.config else settings.for_app(args.app)
    log = Log(sys.stderr, fmt=loaded.log.format, level=loaded.log.level)
    for warning in settings.warnings(loaded):
        log.warning("config", place=f"{warning.file}:{warning.line}:{warning.column}", message=warning.message)
    capture_stdlib(log)
    _raise_descriptor_limit()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(loaded, log, args.config, args.app, seen))
    finally:
        log.close()
    return 0


def _raise_descriptor_limit() -> None:
    """Have as many descriptors as the system lets us: each exchange needs two, and the usual soft limit is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _run(loaded: Settings, log: Log, path: str | None, app: str | None, seen: bytes | None) -> None:
    metrics, health = Metrics(), Health()
    metrics.watch("health", health.families)
    metrics.watch_dropped_lines("operational", lambda: log.dropped)
    access_log = AccessLog(sys.stdout, metrics, log, fmt=loaded.log.format)
    gateway = Gateway(loaded, log, access_log, metrics, health)
    read = (lambda: settings.load(path, os.environ, app)) if path else None
    lifecycle = Lifecycle(gateway, log, metrics, path, read, seen)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        await lifecycle.run()
    finally:
        await asyncio.to_thread(access_log.close)
