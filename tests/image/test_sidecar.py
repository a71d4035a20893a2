"""A gateway and an app in one network namespace: started, used, reloaded and ended as Kubernetes would.

The tests are one pod's life and run in this order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.image.pod import ADMIN, EGRESS, INGRESS, METRICS, USER, Pod, config
from tests.image.podman import Asked, Container, until

READY = 1.0  # seconds from the process's beginning; three times that on a machine with other work
IN_HAND = 'gateway_upstream_connections{state="busy",upstream="app"} 1.0'
TRIES = 3  # what disturbs a start only ever lengthens it


@pytest.fixture(scope="module")
def starts(pod: Pod) -> list[tuple[Container, float]]:
    """Gateways started until one was quick; before the app, on which their readiness does not wait."""
    made = [start(pod)]
    while made[-1][1] > READY and len(made) < TRIES:
        made.append(start(pod))
    return made


@pytest.fixture(scope="module")
def gateway(starts: list[tuple[Container, float]]) -> Container:
    return starts[-1][0]


def start(pod: Pod) -> tuple[Container, float]:
    """Start one in place of the one before; with the seconds from its process's beginning until it is ready."""
    started = pod.start_gateway()
    ready = until(lambda: pod.network.status(METRICS, "/readyz") == 200 or not started.running, "readiness")
    assert started.running, started.logs()
    return started, ready - started.started()


@pytest.fixture(scope="module", autouse=True)
def app(pod: Pod, gateway: Container) -> Iterator[Container]:
    return pod.start_app()


def test_ready_within_a_second(starts: list[tuple[Container, float]], measured: list[str]) -> None:
    took = [seconds for _, seconds in starts]
    measured.append(f"ready {min(took):.2f} s after its process began (the best of {len(took)} starts)")
    assert min(took) < 3 * READY


def test_ingress(pod: Pod) -> None:
    answer = pod.network.ask(INGRESS, "/api/echo", **{"X-Correlation-ID": "from-outside"}).answer()
    assert answer.status == 200
    assert answer.fields["X-Correlation-ID"] == "from-outside"
    assert ["X-Correlation-ID", "from-outside"] in answer.json()["headers"]


def test_egress_with_the_key_of_a_mounted_secret(pod: Pod) -> None:
    answer = pod.network.get(INGRESS, "/ask?say=hello")
    assert answer.status == 200, answer.body
    assert "hello" in answer.json()["choices"][0]["message"]["content"]


def test_metrics(pod: Pod) -> None:
    families = {
        family.name: family for family in text_string_to_metric_families(pod.network.get(METRICS, "/metrics").body)
    }
    counted = {
        (sample.labels["listener"], sample.labels["status"]): sample.value
        for sample in families["gateway_requests"].samples
        if sample.name.endswith("_total")
    }
    assert counted["ingress", "200"] >= 2
    assert counted["egress", "200"] >= 1
    assert pod.network.status(METRICS, "/livez") == 200
    assert pod.network.get(METRICS, "/health").json()["status"] == "healthy"


def test_has_no_rights(gateway: Container) -> None:
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{gateway.pid}/status").read_text().splitlines())
    assert status["Uid"].split() == [str(USER)] * 4
    assert status["Gid"].split() == [str(USER)] * 4
    assert status["NoNewPrivs"] == "1"
    assert {status[kind] for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}


def test_nothing_can_be_written(gateway: Container) -> None:
    for directory in ("/tmp", "/opt/gateway", "/etc/gateway", "/etc/gateway/secrets"):
        done = gateway.exec("python", "-c", f"open('{directory}/new', 'w')", check=False)
        assert "Read-only file system" in done.stderr, directory


def test_only_the_admin_listener_is_for_inside_alone(gateway: Container) -> None:
    addresses = {line["listener"]: line["address"] for line in gateway.logs() if line.get("event") == "listening"}
    assert addresses["admin"] == f"127.0.0.1:{ADMIN}"
    assert addresses["ingress"] == f"0.0.0.0:{INGRESS}"


def test_commands_reach_it_from_inside(gateway: Container) -> None:
    assert "openai" in gateway.exec("gateway", "breakers").stdout


def test_a_config_map_that_changes_is_taken_up(pod: Pod) -> None:
    pod.configure(marked("second"))
    until(lambda: mark(pod) == "second", "the config to be taken up")


def test_a_wrong_config_map_changes_nothing(pod: Pod, gateway: Container) -> None:
    pod.configure(config(ingress={"routez": []}))
    until(lambda: any(line.get("event") == "config_refused" for line in gateway.logs()), "the refusal", pause=0.2)
    assert mark(pod) == "second"
    pod.configure(marked("third"))
    until(lambda: mark(pod) == "third", "the next one to be taken up")


def marked(mark: str) -> dict[str, Any]:
    """A config that is seen on every response of ingress."""
    settings = config()
    settings["ingress"]["headers"] = {"response": {"set": {"X-Config": mark}}}
    return settings


def mark(pod: Pod) -> str | None:
    return pod.network.get(INGRESS, "/").fields.get("X-Config")


def under_way(pod: Pod) -> Asked:
    """A request that the app has, and will answer in a while, after a call out."""
    asked = pod.network.ask(INGRESS, "/ask?seconds=2&say=late")
    until(lambda: IN_HAND in pod.network.get(METRICS, "/metrics").body, "the request to be under way")
    return asked


def test_drain_of_a_hook_then_sigterm(pod: Pod, gateway: Container) -> None:
    """`gateway drain` ends ingress, and loses nothing of it; egress is there until SIGTERM."""
    asked = under_way(pod)
    drain = gateway.exec_beside("gateway", "drain")
    until(lambda: pod.network.status(METRICS, "/readyz") == 503, "/readyz to say so")
    until(lambda: not pod.network.accepts(INGRESS), "ingress to stop accepting")
    late = asked.answer()
    assert late.status == 200, late.body
    assert "late" in late.json()["choices"][0]["message"]["content"]
    said = drain.communicate(timeout=30)[0]
    assert drain.returncode == 0, said
    assert "drained" in said
    assert pod.network.status(EGRESS, "/openai/v1/models") == 200
    gateway.signal("SIGTERM")
    assert gateway.ended() == 0


def test_sigterm_alone(pod: Pod) -> None:
    """A container that is stopped finishes what it has in hand."""
    second, _ = start(pod)
    asked = under_way(pod)
    second.signal("SIGTERM")
    until(lambda: not pod.network.accepts(INGRESS), "ingress to stop accepting")
    assert asked.answer().status == 200
    assert second.ended() == 0
