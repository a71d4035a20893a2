"""Everything that deploy/ can be made into, each rendered once in a process, by its name."""

from __future__ import annotations

import functools
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from gateway import settings
from tests.support.kubernetes import CHART, DEPLOY, Manifest, manifests, of_kind

HERE = Path(__file__).parent
KUSTOMIZE = DEPLOY / "kustomize"

#: In a container: where the config and the secrets are.
CONFIG, SECRETS = "/etc/gateway", "/etc/gateway/secrets"


def _kustomized(folder: Path) -> Callable[[], list[Manifest]]:
    return lambda: manifests("kubectl", "kustomize", folder)


def _templated(values: str) -> Callable[[], list[Manifest]]:
    return lambda: manifests("helm", "template", "shop", CHART, "--values", HERE / "values" / f"{values}.yaml")


def _subchart() -> list[Manifest]:
    """A chart of somebody's own that has this one among its dependencies."""
    with tempfile.TemporaryDirectory() as folder:
        shop = shutil.copytree(HERE / "shop", Path(folder) / "shop")
        shutil.copytree(CHART, shop / "charts" / "gateway")
        return manifests("helm", "template", "shop", shop)


#: What kubectl applies as it stands.
FOLDERS = {
    "base": KUSTOMIZE / "base",
    **{name: KUSTOMIZE / "overlays" / name for name in ("memory", "redis", "egress")},
}

_RENDERINGS: dict[str, Callable[[], list[Manifest]]] = {
    **{name: _kustomized(folder) for name, folder in FOLDERS.items()},
    "base, monitored": _kustomized(HERE / "monitored"),
    "a Deployment of one's own": _kustomized(HERE / "own"),
    "chart": _templated("plain"),
    "chart, everything": _templated("everything"),
    "chart, egress": _templated("egress"),
    "chart in a chart": _subchart,
}

NAMES = list(_RENDERINGS)


@functools.cache
def rendered(name: str) -> tuple[Manifest, ...]:
    """What it is made into."""
    return tuple(_RENDERINGS[name]())


class Sidecar:
    """A rendering's pod with a gateway in it, as the tests look at it."""

    def __init__(self, name: str) -> None:
        self.documents = list(rendered(name))
        (self.deployment,) = of_kind("Deployment", self.documents)
        self.metadata: Manifest = self.deployment["spec"]["template"]["metadata"]
        self.pod: Manifest = self.deployment["spec"]["template"]["spec"]
        (self.container,) = [one for one in self.pod["initContainers"] if one["name"] == "gateway"]
        self.app: Manifest = self.pod["containers"][0]
        self.mounts = {mount["mountPath"]: mount for mount in self.container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        self.config_map: str = volumes[self.mounts[CONFIG]["name"]]["configMap"]["name"]
        self.secret = (
            volumes[self.mounts[SECRETS]["name"]]["secret"]["secretName"] if SECRETS in self.mounts else None
        )
        (found,) = [one for one in of_kind("ConfigMap", self.documents) if one["metadata"]["name"] == self.config_map]
        self.text: str = found["data"]["gateway.yaml"]

    @property
    def config(self) -> dict[str, Any]:
        """The config as YAML has it."""
        loaded: dict[str, Any] = yaml.safe_load(self.text)
        return loaded

    def mounted(self, folder: Path) -> Path:
        """The config file in a folder, beside the secrets that the Secret of the README would have."""
        path = folder / "gateway.yaml"
        path.write_text(self.text)
        if self.secret is not None:
            secrets = folder / Path(SECRETS).name
            secrets.mkdir(exist_ok=True)
            for name in re.findall(r"\$\{file:secrets/([^}]+)\}", self.text):
                (secrets / name).write_text(f"secret-{name}")
        return path

    def settings(self, folder: Path) -> settings.Settings:
        """The config as the gateway reads it."""
        return settings.load(str(self.mounted(folder)), {})


def sidecar(name: str) -> Sidecar:
    """The pod of a rendering."""
    return Sidecar(name)
