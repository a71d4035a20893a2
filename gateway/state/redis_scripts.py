"""The Lua scripts, which come with the package."""

from __future__ import annotations

from hashlib import sha1
from importlib import resources


class Script:
    """One script. A server that has it knows it by `sha`."""

    __slots__ = ("sha", "text")

    def __init__(self, name: str, package: str = "gateway.state") -> None:
        self.text = (resources.files(package) / "lua" / f"{name}.lua").read_bytes()
        self.sha = sha1(self.text, usedforsecurity=False).hexdigest().encode()


BUCKETS = Script("buckets")
SLOTS = Script("slots")
REPLICAS = Script("replicas")
