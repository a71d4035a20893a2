"""Makes deploy/prometheus/prometheusrule.yaml, for clusters whose Prometheus has an operator, of the rule file.

python -m tests.deploy.prometheusrule
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = FOLDER / "gateway.rules.yaml"
RESOURCE = FOLDER / "prometheusrule.yaml"

_HEAD = """\
# Made of gateway.rules.yaml by `python -m tests.deploy.prometheusrule`: change that one.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: gateway
  labels:
    app.kubernetes.io/name: gateway
spec:
"""


def resource() -> str:
    """What the file has to be."""
    lines = RULES.read_text().splitlines()
    rules = lines[lines.index("groups:") :]
    return _HEAD + "".join(f"  {line}\n" if line else "\n" for line in rules)


if __name__ == "__main__":
    RESOURCE.write_text(resource())
