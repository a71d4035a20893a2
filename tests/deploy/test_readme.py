"""deploy/README.md's commands, in its order and in a folder that holds what it says: those that need no cluster are
run as they stand, those that would make something in one are run dry. What only a cluster or a registry can do is
listed here, so that no command goes unnoticed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.cli.main import main
from tests.deploy.renderings import FOLDERS, HERE, Sidecar, sidecar
from tests.support.kubernetes import DEPLOY, tool

TEXT = (DEPLOY / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)

#: Beginnings of commands that are run as they stand.
RUN = ("cp ", "mkdir ", "gateway check ", "kubectl kustomize ", "helm lint ", "helm template ")

PROMTOOL = "promtool check config prometheus.yml"

#: Of commands that make something in a cluster, and are run here without one.
DRY = {"kubectl create ": "--dry-run=client --output=yaml", "helm install ": "--dry-run=client", "sed ": None}

#: Of what is asked of a cluster that has all of it, or of a registry.
ELSEWHERE = (
    "docker build ", "docker push ", "kubectl apply ", "kubectl rollout ", "kubectl logs ", "kubectl port-forward ",
    "curl ", "kubectl exec ",
)  # fmt: skip


def commands() -> list[str]:
    """One command each, its lines joined."""
    text = "".join(block for kind, block in BLOCKS if kind == "sh")
    return [line for line in re.sub(r"(\\|(?<=\|))\n\s*", " ", text).splitlines() if line]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with deploy/ in it, and the files whose text the README has."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "deploy").symlink_to(DEPLOY)
    for kind, block in BLOCKS:
        if kind == "yaml" and (named := re.match(r"# (\S+\.ya?ml)\n", block)):
            path = folder / named[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block)
    for name in ("deployment.yaml", "gateway.yaml"):
        shutil.copy(HERE / "own" / name, folder / "own" / name)
    return folder


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(
        [*(str(Path(tool(name)).parent) for name in ("kubectl", "helm")), str(Path(sys.executable).parent)]
    )
    environment = {
        **os.environ,
        "PATH": f"{path}{os.pathsep}{os.environ['PATH']}",
        "OPENAI_API_KEY": "sk-any",
        "password": "abc",
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_what_can_be_run_here_does_what_it_says(workplace: Path) -> None:
    ran = [command for command in commands() if command.startswith(RUN)]
    assert len({command.split()[0] for command in ran}) == len({beginning.split()[0] for beginning in RUN})
    for command in ran:
        done = shell(command, workplace)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert shell("kubectl kustomize own", workplace).returncode == 0


def test_prometheus_scrapes_the_pods_that_say_so_and_has_the_rules(workplace: Path) -> None:
    """With pods that are listed as Kubernetes would tell of them: Debian's Prometheus cannot ask it."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    assert PROMTOOL in commands()
    found = sidecar("memory")
    said = found.metadata["annotations"], found.metadata["labels"]
    pods = [(*said, "Running"), ({}, {"app.kubernetes.io/name": "other"}, "Running"), (*said, "Failed")]
    config = yaml.safe_load((workplace / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    job["static_configs"] = [
        {
            "targets": [f"10.0.0.{number}:8080"],
            "labels": {
                "__meta_kubernetes_namespace": "shop",
                "__meta_kubernetes_pod_name": f"app-{number}",
                "__meta_kubernetes_pod_phase": phase,
                "__meta_kubernetes_pod_ip": f"10.0.0.{number}",
                **{f"__meta_kubernetes_pod_annotation_{meta(name)}": value for name, value in annotations.items()},
                **{f"__meta_kubernetes_pod_label_{meta(name)}": value for name, value in labels.items()},
            },
        }
        for number, (annotations, labels, phase) in enumerate(pods)
    ]
    shutil.copy(DEPLOY / "prometheus" / "gateway.rules.yaml", workplace)
    (workplace / "listed.yml").write_text(yaml.safe_dump(config))
    done = shell("promtool check config listed.yml", workplace)
    assert done.returncode == 0, done.stderr
    assert "rules found" in done.stdout
    done = shell("promtool check service-discovery --timeout=2s listed.yml pods", workplace)
    assert done.returncode == 0, done.stderr
    scraped = [one["labels"] for one in json.loads(done.stdout) if one["labels"]]
    wanted = {"job": "app", "namespace": "shop", "pod": "app-0", "instance": "10.0.0.0:9090"}
    assert [{name: one[name] for name in wanted} for one in scraped] == [wanted]
    assert scraped[0]["__metrics_path__"] == "/metrics"


def meta(name: str) -> str:
    """A label's or annotation's name as Prometheus writes it."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


def test_every_command_is_run_or_needs_more_than_there_is_here() -> None:
    for command in commands():
        assert command.startswith((*RUN, *DRY, *ELSEWHERE, "password=", PROMTOOL)), command


def test_the_secrets_are_those_that_the_configs_name(workplace: Path) -> None:
    made: dict[str, set[str]] = {}
    for command in commands():
        if command.startswith(("kubectl create ", "sed ")):
            done = shell(f"{command} {DRY['kubectl create ']}", workplace)
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            one = yaml.safe_load(done.stdout)
            if one["kind"] == "Secret":
                made[one["metadata"]["name"]] = set(one["data"])  # of two with one name the later has more
    assert set(made) == {"gateway", "valkey"}
    for name in FOLDERS:
        found: Sidecar = sidecar(name)
        assert found.secret == "gateway"
        assert set(re.findall(r"file:secrets/([^}]+)", found.text)) <= made["gateway"]
    assert made["valkey"] == {"users.acl"}


def test_the_chart_would_be_installed(workplace: Path) -> None:
    (command,) = [one for one in commands() if one.startswith("helm install ")]
    done = shell(f"{command} {DRY['helm install ']}", workplace)
    assert done.returncode == 0, done.stderr
    assert "api_key: ${file:secrets/openai-api-key}" in done.stdout


def test_the_commands_in_the_container_are_the_programs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """They come so far as to look for a gateway, of which there is none on that port."""
    path = sidecar("memory").mounted(tmp_path)
    path.write_text(path.read_text().replace("127.0.0.1:9091", "127.0.0.1:9"))
    asked = [shlex.split(one.partition(" -- ")[2]) for one in commands() if one.startswith("kubectl exec ")]
    assert asked
    for program, *arguments in asked:
        assert program == "gateway"
        assert main([str(path) if one == "/etc/gateway/gateway.yaml" else one for one in arguments]) == 3
    assert "cannot be reached" in capsys.readouterr().err


def test_its_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", line).strip().replace(" ", "-").lower()
        for line in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        path, _, anchor = target.partition("#")
        assert not path or (DEPLOY / path).exists(), target
        assert path or anchor in anchors, target
