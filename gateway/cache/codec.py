"""What is kept in a shared tier, as bytes and back: a stored response, or the names by which a resource's differ.

    mark 8 · kind 1 · epoch 8 · stamp 8 · CRC-32 4 · payload

The mark names this format, so that gateways of another make miss each other's records and never misread them. The
payload of a response is the length of its head (4 bytes), the head in JSON, whose strings are bytes as Latin-1, and
the content as it is; of names it is JSON alone. Numbers are little-endian. Nothing that reading finds runs as code,
and what is no whole record of this format raises Garbage and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b
from itertools import chain
from typing import Any, NamedTuple
from zlib import crc32

import orjson

from gateway.cache.entry import Entry
from gateway.rules.cache_control import ResponseDirectives
from gateway.rules.conditional import Validators
from gateway.rules.field_lines import COLON, END, Pieces
from gateway.rules.freshness import Freshness, Source
from gateway.rules.purge import Subject
from gateway.rules.vary import Names

ENTRY, COMPRESSED, NAMES = b"e", b"z", b"n"
#: Where epoch and stamp lie in a record, first and last byte: together they tell one writing of it from another.
IDENTITY = (9, 24)

#: Changes by itself when what is kept of a response does.
_SHAPE = repr(("1", ResponseDirectives._fields, Freshness._fields, Validators._fields, Subject._fields)).encode()
_MARK = b"gwc\x00" + blake2b(_SHAPE, digest_size=4).digest()
_HEADER = struct.Struct("<8sc8s8sI")
_LENGTH = struct.Struct("<I")
_TIMES = 4  # the first fields of ResponseDirectives are times
_SETS = frozenset({"no_cache_fields", "private_fields"})
_BROKEN = (ValueError, TypeError, LookupError, AttributeError, OverflowError, struct.error, RecursionError)


class Garbage(ValueError):
    """Not a record of this format, or not a whole one."""


class Record(NamedTuple):
    """A record that has been taken apart, but not its payload."""

    kind: bytes
    #: The purges that its number counts (purge_bus.py).
    epoch: bytes
    #: Eight random bytes, other ones at each writing.
    stamp: bytes
    payload: bytes


def seal(record: Record) -> bytes:
    """A record's bytes."""
    kind, epoch, stamp, payload = record
    return _HEADER.pack(_MARK, kind, epoch, stamp, _sum(record)) + payload


def open_record(data: bytes) -> Record:
    """A record again. Raises Garbage."""
    if len(data) < _HEADER.size:
        raise Garbage("too short")
    mark, kind, epoch, stamp, told = _HEADER.unpack_from(data)
    if mark != _MARK:
        raise Garbage("another format")
    record = Record(kind, epoch, stamp, data[_HEADER.size :])
    if kind not in (ENTRY, COMPRESSED, NAMES) or told != _sum(record):
        raise Garbage("damaged")
    return record


def encode(entry: Entry, version: int) -> bytes:
    """A response's payload. `version` takes the place of the entry's, which counts this process's purges."""
    key, host, target, tags = entry.subject
    head = orjson.dumps(
        [
            version,
            [_text(key), _text(host), _text(target), sorted(map(_text, tags))],
            entry.status,
            _text(entry.reason),
            [*map(_text, entry.kept[0::4]), *map(_text, entry.kept[2::4])],
            [_plain(value) for value in entry.said],
            [entry.freshness.lifetime, entry.freshness.source.value, *entry.freshness[2:]],
            [_plain(value) for value in entry.validators],
            [_text(name) for name in entry.nominated],
            _text(entry.secondary),
            entry.route,
        ]
    )
    return b"".join([_LENGTH.pack(len(head)), head, entry.body])


def decode(payload: bytes) -> Entry:
    """A response again; its version is the one that `encode` was given. Raises Garbage."""
    try:
        (length,) = _LENGTH.unpack_from(payload)
        end = _LENGTH.size + length
        if end > len(payload):
            raise Garbage("cut")
        return _entry(orjson.loads(payload[_LENGTH.size : end]), payload[end:])
    except _BROKEN as error:
        raise _garbage(error) from None


def encode_names(lists: Sequence[Names]) -> bytes:
    """A payload of the lists of names by which a resource's responses differ, the latest first."""
    return orjson.dumps([[_text(name) for name in names] for names in lists])


def decode_names(payload: bytes) -> list[Names]:
    """These lists again. Raises Garbage."""
    try:
        return [tuple(_bytes(name) for name in _list(names)) for names in _list(orjson.loads(payload))]
    except _BROKEN as error:
        raise _garbage(error) from None


# ---- inside


def _sum(record: Record) -> int:
    return crc32(record.payload, crc32(record.kind + record.epoch + record.stamp))


def _garbage(error: Exception) -> Garbage:
    return error if isinstance(error, Garbage) else Garbage(type(error).__name__)


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return _text(value)
    return sorted(map(_text, value)) if isinstance(value, frozenset) else value


def _entry(head: Any, body: bytes) -> Entry:
    version, subject, status, reason, kept, said, freshness, validators, nominated, secondary, route = head
    key, host, target, tags = subject
    return Entry(
        Subject(_bytes(key), _bytes(host), _bytes(target), frozenset(map(_bytes, _list(tags)))),
        _integer(status, 100, 999),
        _line(reason),
        _kept(_list(kept)),
        body,
        said=_directives(_list(said)),
        freshness=_freshness(*_list(freshness)),
        validators=_validators(*_list(validators)),
        nominated=tuple(map(_bytes, _list(nominated))),
        secondary=_bytes(secondary),
        route=_string(route),
        version=_integer(version, 0),
    )


def _kept(fields: list[Any]) -> Pieces:
    half, odd = divmod(len(fields), 2)
    if odd:
        raise Garbage("a field without a value")
    values = [_line(field) for field in fields]
    return list(
        chain.from_iterable((name, COLON, value, END) for name, value in zip(values, values[half:], strict=False))
    )


def _directives(said: list[Any]) -> ResponseDirectives:
    values: list[Any] = []
    for number, (name, value) in enumerate(zip(ResponseDirectives._fields, said, strict=True)):
        if number < _TIMES:
            values.append(_maybe(value))
        elif name in _SETS:
            values.append(frozenset(map(_bytes, _list(value))))
        else:
            values.append(_flag(value))
    return ResponseDirectives(*values)


def _freshness(
    lifetime: object, source: object, age: object, received: object, validate: object, firm: object, *grace: object
) -> Freshness:
    return Freshness(
        _integer(lifetime),
        Source(source),
        _real(age),
        _real(received),
        _flag(validate),
        _flag(firm),
        *(_integer(one) for one in grace),
    )


def _validators(
    status: object, etag: object, last_modified: object, modified: object, date: object, received: object
) -> Validators:
    return Validators(
        _integer(status),
        None if etag is None else _line(etag),
        None if last_modified is None else _line(last_modified),
        _maybe(modified),
        _maybe(date),
        _integer(received),
    )


def _integer(value: object, least: int = -(2**53), most: int = 2**53) -> int:
    if type(value) is not int or not least <= value <= most:
        raise Garbage("not such a number")
    return value


def _maybe(value: object) -> int | None:
    return None if value is None else _integer(value)


def _real(value: object) -> float:
    if type(value) is not float and type(value) is not int:
        raise Garbage("not a time")
    return float(value)


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise Garbage("not a flag")
    return value


def _string(value: object) -> str:
    if type(value) is not str:
        raise Garbage("not a string")
    return value


def _bytes(value: object) -> bytes:
    return _string(value).encode("latin-1")


def _line(value: object) -> bytes:
    """Bytes of one line of a head."""
    line = _bytes(value)
    if b"\r" in line or b"\n" in line or b"\x00" in line:
        raise Garbage("not one line")
    return line


def _list(value: object) -> list[Any]:
    if type(value) is not list:
        raise Garbage("not a list")
    return value
