"""Certificates for tests, made anew by each run: an authority of our own, and servers that it vouches for."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """A certificate authority, and contexts of servers whose certificates it signed."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self.file = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.file))
        self.asked: list[str | None] = []  # the names that clients asked for (SNI)

    def server(self, *names: str) -> ssl.SSLContext:
        """A server's context with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names).configure_cert(context)
        context.sni_callback = lambda _socket, name, _context: self.asked.append(name)
        return context
