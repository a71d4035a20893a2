"""How a value is written in the config: durations, sizes, shares, numbers, addresses, networks, URLs.

Pure functions from text to value and, where a schema or a message needs it, back. Each raises ValueError with a
message for whoever wrote the file. Times are in seconds, sizes in bytes.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from gateway.settings.mistakes import shown

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NUMBER = r"[0-9]{1,12}(\.[0-9]{1,3})?"
DURATION = rf"^({_NUMBER}(ms|s|m|h|d)|0)$"
SIZE = r"^([0-9]{1,12}(B|KiB|MiB|GiB)|0)$"
SHARE = rf"^{_NUMBER}%$"
TRUE = ("true", "True", "TRUE")
FALSE = ("false", "False", "FALSE")

# In whole milliseconds, so that 0.1s and 100ms are the same number.
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_LONGEST = 366 * 86_400
_LARGEST = 1 << 50
_CLOCK = re.compile(r"[0-9]+(:[0-9]+)+(\.[0-9]+)?")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # RFC 1035, section 2.3.4: at most 63 characters
_HOST = re.compile(rf"(?=.{{1,253}}\.?$){_LABEL}(\.{_LABEL})*\.?")
_PORT = re.compile(r"[0-9]{1,5}")
_URL_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?")


def parse_duration(text: str) -> float:
    """`250ms`, `30s`, `5m`, `1h`, `1d` or `0`, at most a year, in seconds."""
    if re.fullmatch(DURATION, text) is None:
        raise ValueError(f"{shown(text)} {_not_a_duration(text)}")
    if text == "0":
        return 0.0
    number, unit = re.split(r"(?=[a-z])", text, maxsplit=1)
    seconds = float(number) * _MILLISECONDS[unit] / 1000
    if seconds > _LONGEST:
        raise ValueError(f"{shown(text)} is longer than a year")
    return seconds


def _not_a_duration(text: str) -> str:
    if re.fullmatch(_NUMBER, text):
        return "has no unit: write ms, s, m, h or d behind the number, as in 30s"
    if _CLOCK.fullmatch(text):
        return "is not a duration: write one number and its unit, as in 90s"
    return "is not a duration, as in 250ms, 30s, 5m, 1h or 1d"


def format_duration(seconds: float) -> str:
    """A duration as the config writes it, in the largest unit that divides it; read back it is the same, to 1 us."""
    milliseconds = round(seconds * 1000, 3)
    if milliseconds == 0:
        return "0"
    for unit, each in reversed(_MILLISECONDS.items()):
        if milliseconds % each == 0:
            return f"{milliseconds / each:.0f}{unit}"
    return f"{milliseconds:.3f}".rstrip("0").rstrip(".") + "ms"


def parse_size(text: str) -> int:
    """`500B`, `64KiB`, `10MiB`, `1GiB` or `0`, in bytes."""
    if re.fullmatch(SIZE, text) is None:
        raise ValueError(f"{shown(text)} {_not_a_size(text)}")
    number, unit = (text, "B") if text == "0" else re.split(r"(?=[A-Z])", text, maxsplit=1)
    size = int(number) * _BYTES[unit]
    if size > _LARGEST:
        raise ValueError(f"{shown(text)} is too large")
    return size


def _not_a_size(text: str) -> str:
    if re.fullmatch(r"[0-9]+", text):
        return "has no unit: write B, KiB, MiB or GiB behind the number, as in 64KiB"
    if re.fullmatch(r"[0-9]+(\.[0-9]+)? ?[kKmMgG]i?[bB]?", text):
        return "is not a size: units are B, KiB (1024 bytes), MiB and GiB behind a whole number"
    return "is not a size, as in 500B, 64KiB, 10MiB or 1GiB"


def format_size(size: int) -> str:
    """A size as the config writes it, in the largest unit that divides it; read back it is the same."""
    if size == 0:
        return "0"
    unit, each = next((unit, each) for unit, each in reversed(_BYTES.items()) if size % each == 0)
    return f"{size // each}{unit}"


def parse_share(text: str) -> float:
    """`20%` as 0.2."""
    if re.fullmatch(SHARE, text) is None:
        raise ValueError(f"{shown(text)} is not a share, as in 20%")
    share = float(text[:-1]) / 100
    if share > 1:
        raise ValueError(f"{shown(text)} is more than 100%")
    return share


def format_share(share: float) -> str:
    """A share as the config writes it."""
    return f"{share * 100:.6f}".rstrip("0").rstrip(".") + "%"


def parse_integer(text: str) -> int:
    """A whole decimal number. A leading zero is refused: whether 012 is 10 or 12 depends on whom you ask."""
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,15})", text):
        return int(text)
    if re.fullmatch(r"-?0[0-9]+", text):
        raise ValueError(f"{shown(text)} begins with a zero: write it without")
    raise ValueError(f"{shown(text)} is not a whole number")


def parse_boolean(text: str) -> bool:
    """`true` or `false`, as YAML 1.2 has them."""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError(f"{shown(text)} is neither true nor false")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. `host` is a name or an IP address without brackets, "" for every interface; port 0 is any."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def overlaps(self, other: Address) -> bool:
        """Whether one socket each cannot listen on both; port 0 is never in the way."""
        if self.port != other.port or self.port == 0:
            return False
        hosts = {"127.0.0.1" if host == "localhost" else host for host in (self.host.lower(), other.host.lower())}
        return len(hosts) == 1 or not hosts.isdisjoint({"", "0.0.0.0", "::"})  # noqa: S104  (compared, not bound)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """`0.0.0.0:8080`, `[::1]:8080`, `localhost:8080`, or `:8080` for every interface."""
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port):
        raise ValueError(f"{shown(text)} is not an address and port, as in 127.0.0.1:8080, [::1]:8080 or :8080")
    if int(port) > 65535:
        raise ValueError(f"{shown(text)}: ports end at 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ip(host, 6):
            raise ValueError(f"{shown(text)} has no IPv6 address in its brackets")
    elif ":" in host:
        raise ValueError(f"{shown(text)}: an IPv6 address goes in brackets, as in [::1]:8080")
    elif host:
        _check_host(host, text)
    return Address(host, int(port))


def _is_ip(host: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(host).version == version and "%" not in host
    except ValueError:
        return False


def _check_host(host: str, text: str) -> None:
    # All digits and dots is meant as IPv4: 10.0.0 or 127.1 would be looked up, or read in some old way.
    if not _HOST.fullmatch(host) or (not host.strip("0123456789.") and not _is_ip(host, 4)):
        raise ValueError(f"{shown(text)} has no valid host name or IP address")


def parse_host(text: str) -> str:
    """A host name or an IPv4 address."""
    _check_host(text, text)
    return str(text)


def parse_network(text: str) -> Network:
    """`10.0.0.0/8`, `fd00::/8`, or one address."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        wider = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{shown(text)} is not an IP network, as in 10.0.0.0/8 or fd00::/8") from None
    raise ValueError(f"{shown(text)} has bits set behind its prefix: its network would be {shown(wider)}")


class Url(str):
    """An upstream's base URL, checked; its parts as a connection needs them."""

    __slots__ = ()

    @property
    def parts(self) -> SplitResult:
        """What urlsplit makes of it."""
        return urlsplit(str(self))

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return self.parts.scheme

    @property
    def host(self) -> str:
        """The host in lower case, an IPv6 address without its brackets."""
        return self.parts.hostname or ""

    @property
    def port(self) -> int:
        """The port, 80 or 443 where none is written."""
        return self.parts.port or (443 if self.scheme == "https" else 80)

    @property
    def authority(self) -> str:
        """What the Host field says: the port only where it is not the scheme's own (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    @property
    def path(self) -> str:
        """The base path, "" or beginning with a slash and not ending in one."""
        return self.parts.path


def parse_url(text: str) -> Url:
    """An upstream's base URL: http or https, a host, perhaps a port and a base path, nothing else.

    Messages never show the URL: whoever put a password into it would find it in the log.
    """
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("the URL has a character that a URL cannot have")
    try:
        parts = urlsplit(str(text))
        port = parts.port
    except ValueError:
        raise ValueError("the URL has a host or port that is not valid") from None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("the URL must begin with http:// or https:// and name a host, as in http://127.0.0.1:3000")
    if "@" in parts.netloc:
        raise ValueError("the URL must not hold a user or password")
    if "?" in text or "#" in text:
        raise ValueError("the URL must not hold a query or a fragment")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("the URL has a host or port that is not valid")
    _check_url_host(parts)
    path = parts.path.rstrip("/")
    if not _URL_PATH.fullmatch(path) or any(segment in (".", "..") for segment in path.split("/")):
        raise ValueError("the URL has a base path that is not valid")
    return Url(f"{parts.scheme}://{parts.netloc}{path}")


def _check_url_host(parts: SplitResult) -> None:
    host = parts.hostname or ""
    if parts.netloc.startswith("["):
        if not _is_ip(host, 6):
            raise ValueError("the URL has a host or port that is not valid")
        return
    try:
        _check_host(host, host)
    except ValueError:
        raise ValueError("the URL has a host or port that is not valid") from None
