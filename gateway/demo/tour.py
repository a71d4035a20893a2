"""What the demo suggests to try: seven lines for a shell, each of which shows one thing the gateway does.

The README's tour is made of the same lines, which a test compares and runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.demo.models import FAILING, NORMAL

JSON = "-H 'Content-Type: application/json'"


@dataclass(frozen=True, slots=True)
class Step:
    """`command` is one line for a shell; `shows` says what to look for in its output."""

    shows: str
    command: str


def steps(addresses: Mapping[str, str]) -> list[Step]:
    """The tour for listeners at `addresses` (HOST:PORT by `ingress`, `egress`, `metrics`).

    Steps whose listener is missing, in a config of the user's own, are left out.
    """
    ingress, egress, metrics = (addresses.get(name) for name in ("ingress", "egress", "metrics"))
    completions = f"http://{egress}/openai/v1/chat/completions {JSON}"
    tour = []
    if ingress:
        tour.append(
            Step(
                "A correlation id, on the answer and in what the app got. Send none, and one is made.",
                f"curl -si http://{ingress}/api/echo -H 'X-Correlation-ID: tour-1'",
            )
        )
    if egress:
        tour.append(
            Step(
                "A stream, word by word, from the AI provider. No key is sent here; the gateway adds it.",
                f"""curl -sN {completions} -d '{_chat(NORMAL, "Hello from the tour", stream=True)}'""",
            )
        )
        tour.append(
            Step(
                "A circuit breaker: the model fails five times, then the gateway answers at once, for 10 s.",
                "for i in 1 2 3 4 5 6; do curl -s -o /dev/null -w '%{http_code}\\n' "
                f"""{completions} -d '{_chat(FAILING, "Hello")}'; done""",
            )
        )
    if metrics:
        tour.append(
            Step(
                "Metrics for Prometheus: the breaker is open (2), and every request is counted.",
                f"curl -s http://{metrics}/metrics | grep -E '^gateway_(breaker_state|requests_total)'",
            )
        )
    if ingress:
        tour.append(
            Step(
                "A refusal that says what, why and by whom: this route has 3 s.",
                f"curl -si 'http://{ingress}/api/slow?seconds=9'",
            )
        )
        tour.append(
            Step(
                "A rate limit: three requests a minute from one address, and the fourth hears when to come again.",
                "for i in 1 2 3; do curl -s -o /dev/null -w '%{http_code}\\n' "
                f"http://{ingress}/api/generate; done; curl -si http://{ingress}/api/generate",
            )
        )
        tour.append(
            Step(
                "A cache: the app takes half a second for this list. Who comes next has it at once.",
                f"for i in 1 2; do curl -si -w '\\n%{{time_total}} s\\n\\n' http://{ingress}/api/models; done",
            )
        )
    return tour


def text(addresses: Mapping[str, str], app: str, provider: str) -> str:
    """The whole of what the demo prints once everything runs. `app`, `provider`: their URLs."""
    lines = ["", "The gateway runs.", ""]
    if "ingress" in addresses:
        lines += [f"  ingress   http://{addresses['ingress']}   in front of the example app, {app}"]
    if "egress" in addresses:
        lines += [f"  egress    http://{addresses['egress']}   to the stand-in AI provider, {provider}"]
    if "metrics" in addresses:
        lines += [f"  metrics   http://{addresses['metrics']}   /metrics /health /livez /readyz"]
    if "admin" in addresses:
        lines += [f"  admin     http://{addresses['admin']}   /openapi.json; gateway status, breakers, limits, cache"]
    lines += ["", "Try, in another terminal:", ""]
    for number, step in enumerate(steps(addresses), 1):
        lines += [f"{number}. {step.shows}", f"   {step.command}", ""]
    if "ingress" in addresses:
        lines += [f"In a browser: http://{addresses['ingress']}/", ""]
    lines += ["One line a request follows. Ctrl-C ends it.", ""]
    return "\n".join(lines)


def _chat(model: str, said: str, *, stream: bool = False) -> str:
    streamed = '"stream": true, ' if stream else ""
    return f'{{"model": "{model}", {streamed}"messages": [{{"role": "user", "content": "{said}"}}]}}'
