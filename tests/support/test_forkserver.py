"""A gateway that was forked is one that was started: exit codes, signals, descriptors, environment, its end."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.config import config
from tests.support.faults import descriptors
from tests.support.forkserver import Forked, ForkServer, server
from tests.support.gateway import Gateway, until

NOBODY = ("127.0.0.1", 9)


def ended(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and stderr of `gateway ARGUMENTS`."""
    reading, writing = os.pipe()
    try:
        code = server().start(list(arguments), {**os.environ, **environment}, writing, writing).wait(20)
    finally:
        os.close(writing)
    with open(reading) as stream:
        return code, stream.read()


def test_its_exit_code_and_what_it_says_arrive(tmp_path: Path) -> None:
    code, said = ended("run")
    assert (code, "--config" in said) == (2, True)
    code, said = ended("run", "--config", str(tmp_path / "missing.yaml"))
    assert (code, "missing.yaml" in said) == (3, True)


def test_its_environment_is_the_one_given(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("ingress: {routes: [{path: /**, upstream: app}]}\nupstreams: {app: {url: '${ONLY_HERE}'}}\n")
    assert ended("check", str(path), ONLY_HERE="http://127.0.0.1:9")[0] == 0
    assert ended("check", str(path))[0] == 1


async def test_it_holds_no_more_descriptors_than_the_command_does(tmp_path: Path) -> None:
    """Two are forked, so that the second could have inherited what the server keeps of the first."""
    (tmp_path / "afresh").mkdir()
    gateways = [Gateway(tmp_path, config(NOBODY)).start() for _ in range(2)]
    gateways.append(Gateway(tmp_path / "afresh", config(NOBODY)).start(afresh=True))
    try:

        def kept(gateway: Gateway) -> list[str]:
            return sorted(one.partition(":")[0] for one in descriptors(gateway.pid))

        # The watch over the config file comes when it is ready already.
        await until(lambda: kept(gateways[0]) == kept(gateways[1]) == kept(gateways[2]), "the same descriptors")
        assert "anon_inode" in kept(gateways[0])
    finally:
        for gateway in gateways:
            gateway.stop()


def test_signals_reach_it(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, config(NOBODY)).start()
    gateway.process.send_signal(signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        gateway.process.wait(0.05)
    gateway.kill()
    assert gateway.process.returncode == -signal.SIGKILL
    gateway.process.send_signal(signal.SIGTERM)  # to nobody: it has ended


async def test_the_servers_end_is_theirs(tmp_path: Path) -> None:
    own = ForkServer()
    path = tmp_path / "gateway.yaml"
    Gateway(tmp_path).write(config(NOBODY))
    with open(os.devnull, "w") as nowhere:
        forked: Forked = own.start(
            ["run", "--config", str(path)], dict(os.environ), nowhere.fileno(), nowhere.fileno()
        )
    assert forked.poll() is None
    own.close()
    await until(lambda: not Path(f"/proc/{forked.pid}").exists(), "its end")
