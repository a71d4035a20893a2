"""What is rendered is right by Kubernetes' own schemas and keeps to its strictest rules for pods; and what a pod's
manifest and the config inside it both say, they say alike: paths, ports, times, memory.
"""

from __future__ import annotations

import functools
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from gateway import settings
from gateway.settings import Settings
from tests.deploy.renderings import FOLDERS, KUSTOMIZE, NAMES, Sidecar, rendered, sidecar
from tests.support.kubernetes import CHART, Manifest, of_kind

#: The first with native sidecars on by default, one between, and the last that the schemas know.
VERSIONS = ("1.29", "1.33", "1.37")

#: Kinds of others than Kubernetes; test_pod_monitor.py is about these.
FOREIGN = {"PodMonitor"}

#: Seconds: what `gateway drain` may need to begin, what an app has by Kubernetes' default, and the end of a gateway
#: that has drained.
BEGIN, APP, END = 5, 30, 3


@pytest.fixture(params=NAMES)
def found(request: pytest.FixtureRequest) -> Sidecar:
    return sidecar(request.param)


@pytest.fixture
def read(found: Sidecar, tmp_path: Path) -> Settings:
    return found.settings(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def schemas_read_once() -> Iterator[None]:
    """They are 1.5 MB each, and would be read again for every document."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
        patch.setattr(utils, "all_versions", functools.cache(utils.all_versions))
        yield


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_have_nothing_to_say(version: str) -> None:
    different = {json.dumps(one, sort_keys=True): one for name in NAMES for one in rendered(name)}
    for document in different.values():
        if document["kind"] not in FOREIGN:
            assert kubernetes_validate.validate(document, version, strict=True) == version


def test_the_schemas_would_have_something_to_say() -> None:
    (deployment,) = [one for one in rendered("base") if one["kind"] == "Deployment"]
    wrong = json.loads(json.dumps(deployment))
    wrong["spec"]["template"]["spec"]["initContainers"][0]["startProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_every_folder_that_is_for_users_is_rendered_here() -> None:
    whole = [
        path.parent
        for path in KUSTOMIZE.rglob("kustomization.yaml")
        if yaml.safe_load(path.read_text())["kind"] == "Kustomization"
    ]
    parts = [KUSTOMIZE / "overlays" / "redis" / "valkey"]
    assert sorted(whole) == sorted([*FOLDERS.values(), *parts])


def containers(pod: Manifest) -> Iterator[Manifest]:
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


@pytest.mark.parametrize("name", NAMES)
def test_every_pod_is_restricted(name: str) -> None:
    """Pod Security Standards, "restricted": https://kubernetes.io/docs/concepts/security/pod-security-standards/."""
    pods = [one["spec"]["template"]["spec"] for one in rendered(name) if "template" in one.get("spec", {})]
    assert pods
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    for pod in pods:
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert all(set(volume) - {"name"} <= allowed for volume in pod.get("volumes", []))
        for container in containers(pod):
            context = container["securityContext"]
            assert context["runAsNonRoot"] is True
            assert context.get("runAsUser", 1) != 0
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost")
            assert not context.get("privileged")
            assert not any("hostPort" in port for port in container.get("ports", []))


def test_the_sidecar_is_one(found: Sidecar) -> None:
    assert found.pod["initContainers"][0] is found.container, "whatever comes before it has no egress"
    assert found.container["restartPolicy"] == "Always"
    assert found.container["securityContext"]["readOnlyRootFilesystem"] is True
    assert found.container["securityContext"]["runAsUser"] == 65532
    assert {"cpu", "memory"} <= set(found.container["resources"]["requests"])
    assert "memory" in found.container["resources"]["limits"]
    assert all(mount["readOnly"] and "subPath" not in mount for mount in found.mounts.values())


def test_what_selects_pods_selects_these(found: Sidecar) -> None:
    labels = found.metadata["labels"].items()
    for document in found.documents:
        spec = document.get("spec", {})
        if document["metadata"]["name"].startswith("valkey"):
            continue
        if document["kind"] == "Service":
            assert spec["selector"].items() <= labels
        elif document["kind"] == "NetworkPolicy":
            assert spec["podSelector"]["matchLabels"].items() <= labels
        elif document["kind"] in ("Deployment", "PodDisruptionBudget", "PodMonitor"):
            assert spec["selector"]["matchLabels"].items() <= labels


# ---- the manifest and the config


def test_the_gateway_reads_its_config_without_a_warning(read: Settings) -> None:
    assert settings.warnings(read) == []


def test_it_runs_on_the_mounted_file(found: Sidecar) -> None:
    assert found.container["args"] == ["run", "--config", "/etc/gateway/gateway.yaml"]


def test_the_probes_ask_the_metrics_listener(found: Sidecar, read: Settings) -> None:
    assert read.metrics is not None
    probes = {name: found.container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {probe["port"] for probe in probes.values()} == {read.metrics.bind.port}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/livez",  # the app starts after it: it must wait for nothing that waits for the app
        "readiness": "/readyz",
        "liveness": "/livez",
    }
    # From outside the pod.
    assert read.metrics.bind.host not in ("127.0.0.1", "::1", "localhost")


def test_clients_reach_ingress_or_the_app(found: Sidecar, read: Settings) -> None:
    ports = {port["name"]: port["containerPort"] for port in found.container["ports"]}
    assert read.metrics is not None
    if read.ingress is None:
        assert set(ports) == {"metrics"}
        (app,) = [port["containerPort"] for port in found.app["ports"]]
        reached = app
    else:
        reached = ports["ingress"]
        assert reached == read.ingress.bind.port
        upstream = urlsplit(found.config["upstreams"]["app"]["url"])
        assert upstream.hostname == "127.0.0.1"
        assert {port["containerPort"] for port in found.app.get("ports", [])} <= {upstream.port}
    for service in of_kind("Service", found.documents):
        if service["metadata"]["name"] != "valkey":
            assert [port["targetPort"] for port in service["spec"]["ports"]] == [reached]
    assert ports["metrics"] == read.metrics.bind.port


def test_the_network_policy_lets_in_clients_and_prometheus(found: Sidecar, read: Settings) -> None:
    assert read.metrics is not None
    for policy in of_kind("NetworkPolicy", found.documents):
        if policy["metadata"]["name"] == "valkey":
            continue
        clients, prometheus = policy["spec"]["ingress"][:2]
        wanted = found.app["ports"][0]["containerPort"] if read.ingress is None else read.ingress.bind.port
        assert [port["port"] for port in clients["ports"]] == [wanted]
        assert "from" not in clients
        assert [port["port"] for port in prometheus["ports"]] == [read.metrics.bind.port]
        assert prometheus["from"]


def test_the_network_policy_lets_names_be_looked_up(found: Sidecar) -> None:
    """At the cluster's name servers, and at a node's own, which no label names."""
    for policy in of_kind("NetworkPolicy", found.documents):
        if "egress" in policy["spec"]:
            names = next(rule for rule in policy["spec"]["egress"] if rule["ports"][0]["port"] == 53)
            assert {port["protocol"] for port in names["ports"]} == {"UDP", "TCP"}
            assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in names["to"]


def test_egress_and_admin_are_on_loopback(found: Sidecar, read: Settings) -> None:
    assert read.admin is not None
    assert read.admin.bind.host == "127.0.0.1"
    if read.egress is not None:
        assert read.egress.bind.host == "127.0.0.1"
        urls = [urlsplit(one["value"]) for one in found.app.get("env", []) if one["name"] == "OPENAI_BASE_URL"]
        assert all((url.hostname, url.port) == (read.egress.bind.host, read.egress.bind.port) for url in urls)


def test_no_port_is_taken_twice(found: Sidecar, read: Settings) -> None:
    listeners = [one for one in (read.ingress, read.egress, read.metrics, read.admin) if one is not None]
    ports = [one.bind.port for one in listeners] + [port["containerPort"] for port in found.app.get("ports", [])]
    assert len(set(ports)) == len(ports)


def test_prometheus_is_sent_to_the_metrics_listener(found: Sidecar, read: Settings) -> None:
    assert read.metrics is not None
    annotations = found.metadata.get("annotations", {})
    if "prometheus.io/scrape" in annotations:
        assert annotations["prometheus.io/port"] == str(read.metrics.bind.port)
        assert annotations["prometheus.io/path"] == "/metrics"
    for monitor in of_kind("PodMonitor", found.documents):
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] == "metrics"
        assert endpoint["path"] == "/metrics"


def test_each_has_its_time_to_end(found: Sidecar, read: Settings) -> None:
    """Hooks begin together; the app's SIGTERM comes after its hook, the sidecar's when the app has gone."""
    wait = found.app["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = found.pod["terminationGracePeriodSeconds"]
    drains = read.drain.delay + read.drain.timeout
    if read.ingress is None:
        assert "lifecycle" not in found.container, "nothing of it has to end before the app"
        assert read.drain.delay == 0, "SIGTERM comes when nobody is left who would have to notice"
        assert grace >= wait + APP + drains
    else:
        assert found.container["lifecycle"]["preStop"]["exec"]["command"] == [
            "gateway", "drain", "--config", "/etc/gateway/gateway.yaml",
        ]  # fmt: skip
        assert read.drain.delay >= 5, "who sends traffic hears a little later that the pod ends"
        assert wait >= drains + BEGIN
        assert grace >= wait + APP + END


def test_its_memory_has_room_for_its_cache(found: Sidecar, read: Settings) -> None:
    limit = found.container["resources"]["limits"]["memory"]
    assert limit.endswith("Mi")
    assert int(limit.removesuffix("Mi")) * 2**20 >= read.cache.max_bytes + 160 * 2**20


def test_a_changed_config_is_read_and_rolls_nothing(found: Sidecar) -> None:
    """A hash of it in a name or an annotation would have every change replace all pods."""
    assert found.config_map in ("gateway", "shop", "shop-gateway")
    assert not [name for name in found.metadata.get("annotations", {}) if "checksum" in name]


def test_the_image_has_the_programs_version() -> None:
    project = tomllib.loads((KUSTOMIZE.parents[1] / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == project["version"]
    for name in ("base", "chart"):
        assert sidecar(name).container["image"] == f"gateway:{project['version']}"
