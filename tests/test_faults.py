"""What a fault is about stands in its message, once and in words."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from gateway.faults import about


async def test_an_address_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host, port = taken.getsockname()
        told = rf"^ingress.bind 127.0.0.1:{port}: address already in use$"
        with pytest.raises(OSError, match=told), about(f"ingress.bind {host}:{port}"):
            await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port)


async def test_a_host_that_is_none() -> None:
    with pytest.raises(OSError, match=r"^admin.bind x.invalid:1: [A-Z]\w"), about("admin.bind x.invalid:1"):
        await asyncio.get_running_loop().create_server(asyncio.Protocol, "x.invalid", 1)


def test_a_file_that_is_not_there_and_one_that_holds_something_else(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"^tls.ca /nowhere: no such file or directory$"), about("tls.ca /nowhere"):
        ssl.create_default_context(cafile="/nowhere")
    (tmp_path / "ca").write_text("hello")
    with pytest.raises(OSError, match=r"^tls.ca: holds no certificate in PEM$"), about("tls.ca"):
        ssl.create_default_context(cafile=str(tmp_path / "ca"))
