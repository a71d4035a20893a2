"""A pod as kubelet would make one: containers in one network namespace, a ConfigMap and a Secret mounted as files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from tests.image.app import APP, KEY, PROVIDER
from tests.image.podman import HERE, Container, Network, podman, until

USER = 65532
INGRESS, EGRESS, METRICS, ADMIN = 8080, 8081, 9090, 9091

#: As restricted as Kubernetes' strictest Pod Security Standard has it, and more: nothing at all can be written.
RESTRICTED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges")


def config(**changes: Any) -> dict[str, Any]:
    """In front of the app, and on its way to the provider."""
    return {
        "ingress": {"routes": [{"path": "/**", "upstream": "app"}]},
        "egress": {"routes": [{"path": "/openai/**", "strip_prefix": "/openai", "upstream": "openai"}]},
        "upstreams": {
            "app": {"url": f"http://127.0.0.1:{APP}"},
            "openai": {
                "preset": "openai",
                "url": f"http://127.0.0.1:{PROVIDER}",
                "api_key": "${file:/etc/gateway/secrets/provider-key}",
            },
        },
        "drain": {"delay": "500ms", "timeout": "20s"},
        **changes,
    }


class Volume:
    """A directory as kubelet projects a ConfigMap or a Secret: files are links into `..data`, which links to the
    directory of one version and is swapped as a whole."""

    def __init__(self, directory: Path, mode: int) -> None:
        self.directory = directory
        self._mode = mode
        self._version = 0
        directory.mkdir()
        directory.chmod(0o755)

    def write(self, **files: str) -> None:
        """Project another version; the one before is gone afterwards."""
        self._version += 1
        fresh = self.directory / f"..2026_11_30_12_00_00.{self._version}"
        fresh.mkdir()
        fresh.chmod(0o755)
        for name, text in files.items():
            path = fresh / name.replace("_", "-")
            path.write_text(text)
            os.chown(path, 0, USER)  # as fsGroup does
            path.chmod(self._mode)
        data, swapped = self.directory / "..data", self.directory / "..data_tmp"
        before = data.resolve() if data.exists() else None
        swapped.symlink_to(fresh.name)
        swapped.replace(data)
        for name in files:
            link = self.directory / name.replace("_", "-")
            if not link.is_symlink():
                link.symlink_to(f"..data/{link.name}")
        if before is not None:
            for path in before.iterdir():
                path.unlink()
            before.rmdir()


class Pod:
    """The gateway beside an app. The gateway is started first, as a native sidecar is."""

    def __init__(self, name: str, image: str, directory: Path) -> None:
        self._name = name
        self._image = image
        self.config_map = Volume(directory / "config", 0o644)
        (self.config_map.directory / "secrets").mkdir()
        secret = Volume(directory / "secrets", 0o440)
        secret.write(provider_key=KEY)
        self.configure(config())
        self._mounts = (
            f"--volume={self.config_map.directory}:/etc/gateway:ro",
            f"--volume={secret.directory}:/etc/gateway/secrets:ro",
        )
        self._containers: list[Container] = []
        # It holds the namespace, which has loopback and no more.
        pause = self._run(
            "pause", "--network=none", "--entrypoint=python", image, "-c", "import signal; signal.pause()"
        )
        self.network = Network(pause.pid)

    def configure(self, settings: dict[str, Any]) -> None:
        """Write the ConfigMap, as `kubectl apply` and a minute of patience would."""
        self.config_map.write(**{"gateway.yaml": yaml.safe_dump(settings)})

    def start_gateway(self, name: str = "gateway") -> Container:
        """Start one with nothing but the image's own command."""
        return self._run(name, *self._network(), *self._mounts, self._image)

    def start_app(self) -> Container:
        """Start the app, and wait until it serves."""
        script = HERE / "app.py"
        app = self._run(
            "app", *self._network(), f"--volume={script}:/app.py:ro", "--entrypoint=python", self._image, "/app.py"
        )
        until(lambda: self.network.accepts(APP) or not app.running, "the app to serve")
        assert app.running, podman("logs", app.name).stderr
        return app

    def _network(self) -> tuple[str]:
        return (f"--network=container:{self._name}-pause",)

    def _run(self, name: str, *arguments: str) -> Container:
        podman("rm", "--force", "--time", "0", f"{self._name}-{name}", check=False)
        container = Container(f"{self._name}-{name}", *RESTRICTED, *arguments)
        self._containers.append(container)
        return container

    def remove(self) -> None:
        self.network.close()
        for container in reversed(self._containers):
            container.remove()
