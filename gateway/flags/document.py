"""The file in which live values are kept: what it holds, and how it is read and written whole. Blocks."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from gateway.flags.codec import Garbage, change
from gateway.flags.merging import NOTHING, Live, merged
from gateway.flags.ports import MOST_CHANGES, Change

#: Bytes of a file that is read, and of all flags' history in it.
LARGEST, _LARGEST_HISTORY = 64 << 20, 4 << 20
#: Seconds for which another writer's end is waited for, and between two tries.
_LOCK, _AGAIN = 1.0, 0.01

#: What tells one file in this place from another: inode, length, nanoseconds of its last change.
Signature = tuple[int, int, int]


class Fault(Exception):
    """The file cannot be read, or not be written; why, in words for an operator."""


class Document(NamedTuple):
    """A file's content; `mark` tells it from any other. Without a file there is nothing in it."""

    live: Live = NOTHING
    #: A flag's last changes, the latest last.
    history: Mapping[str, tuple[Change, ...]] = MappingProxyType({})
    mark: bytes = b""


def signature(path: Path) -> Signature | None:
    """What tells the file from one that was there before; None: there is none. Raises Fault."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Fault(_said(error)) from None
    return found.st_ino, found.st_size, found.st_mtime_ns


def read(path: Path) -> Document | None:
    """What the file holds; None: there is none. Raises Fault."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Fault(_said(error)) from None
    if len(data) > LARGEST:
        raise Fault(f"it has more than {LARGEST} bytes")
    try:
        return _parsed(data)
    except (ValueError, Garbage) as error:
        raise Fault(f"what it holds is not what is kept there: {error}") from None


def write(path: Path, made: Change, upon: Document, within: float = _LOCK) -> Document | None:
    """Add a change to the file, where it still holds what it was made upon; else None. Raises Fault.

    A file that is gone is written anew, with all that was known of it.
    """
    path = Path(os.path.realpath(path))
    with _locked(path, within):
        there = read(path)
        if there is not None and there.mark != upon.mark:
            return None
        changes = (*upon.history.get(made.flag, ()), made)[-MOST_CHANGES:]
        live = merged(upon.live, [made])
        data = _written(live, {**upon.history, made.flag: changes})
        try:
            _replace(path, data)
        except OSError as error:
            raise Fault(_said(error)) from None
        return _parsed(data)


def writable(path: Path) -> None:
    """Try whether it could be written. Raises Fault."""
    with _locked(Path(os.path.realpath(path)), 0.0, wait=False):
        pass


@contextmanager
def _locked(path: Path, within: float, *, wait: bool = True) -> Iterator[None]:
    """Keep other writers out. The lock's file stays: who takes it away lets two in."""
    try:
        number = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise Fault(_said(error)) from None
    try:
        until = time.monotonic() + within
        while wait:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() > until:
                    raise Fault(f"its lock cannot be had: {_said(error)}") from None
                time.sleep(_AGAIN)
        yield
    finally:
        os.close(number)


def _replace(path: Path, data: bytes) -> None:
    number, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(number, "wb") as file:
            with suppress(FileNotFoundError):
                os.fchmod(number, path.stat().st_mode & 0o777)
            file.write(data)
            file.flush()
            os.fsync(number)
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _parsed(data: bytes) -> Document:
    raw = orjson.loads(data)
    if not isinstance(raw, dict) or raw.get("version") != 1:
        raise Garbage("its version is not 1")
    flags, histories = raw.get("flags"), raw.get("history", {})
    if not isinstance(flags, dict) or not isinstance(histories, dict):
        raise Garbage("flags and history are mappings")
    live = merged(NOTHING, [_change(flag, one) for flag, one in flags.items()])
    history = {
        flag: tuple(_change(flag, one) for one in listed[-MOST_CHANGES:])
        for flag, listed in histories.items()
        if isinstance(listed, list)
    }
    return Document(live, history, blake2b(data, digest_size=16).digest())


def _change(flag: str, raw: Any) -> Change:
    if not isinstance(raw, dict):
        raise Garbage(f"what is said of {flag} is no mapping")
    return change(flag, raw.get("when"), raw)


def _written(live: Live, history: Mapping[str, tuple[Change, ...]]) -> bytes:
    lines = sorted((one for listed in history.values() for one in listed), key=lambda one: one.when)
    size, kept = 0, dict[str, list[dict[str, Any]]]()
    for one in reversed(lines):
        raw = _raw(one)
        size += len(orjson.dumps(raw))
        if size > _LARGEST_HISTORY:
            break  # the oldest of all flags go first
        kept.setdefault(one.flag, []).insert(0, raw)
    flags = {name: _raw(live[name]) for name in sorted(live)}
    return orjson.dumps({"version": 1, "flags": flags, "history": kept}, option=orjson.OPT_INDENT_2) + b"\n"


def _raw(one: Change) -> dict[str, Any]:
    return {"value": one.value, "who": one.who, "why": one.why, "when": one.when}


def _said(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__
