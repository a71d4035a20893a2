"""`gateway check`: every mistake with its place, warnings, and the exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.main import main

FINE = "ingress:\n  routes: [{path: /**, upstream: app}]\nupstreams:\n  app: {url: http://127.0.0.1:3000}\n"
WRONG = "ingress:\n  rouets: []\nupstreams:\n  app: {url: nowhere}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fine.yaml").write_text(FINE)
    (tmp_path / "wrong.yaml").write_text(WRONG)
    return tmp_path


def test_a_fine_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "fine.yaml"]) == 0
    assert capsys.readouterr() == ("fine.yaml: fine\n", "")


def test_every_mistake_has_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "wrong.yaml"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "wrong.yaml:1:1: needs routes",
        "wrong.yaml:2:3: unknown key 'rouets'; did you mean 'routes'?",
        "wrong.yaml:4:14: the URL must begin with http:// or https:// and name a host, as in http://127.0.0.1:3000",
    ]
    assert err == ""


def test_warnings_are_no_mistakes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "odd.yaml").write_text(FINE + "  other: {url: http://x}\n")
    assert main(["check", "odd.yaml"]) == 0
    assert (
        capsys.readouterr().out == "odd.yaml:5:3: warning: no route leads to the upstream 'other'\nodd.yaml: fine\n"
    )


def test_a_file_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "none.yaml"]) == 3
    assert capsys.readouterr() == ("", "gateway: none.yaml: No such file or directory\n")


def test_all_files_are_checked_and_the_worst_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "wrong.yaml", "fine.yaml"]) == 1
    assert main(["check", "none.yaml", "wrong.yaml", "fine.yaml"]) == 3
    out = capsys.readouterr().out
    assert out.count("wrong.yaml:2:3:") == 2
    assert out.count("fine.yaml: fine") == 2


def test_variables_about_flags(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that are about one and say nothing, without the value; another program's are no matter."""
    (folder / "flags.yaml").write_text(FINE + "flags:\n  define:\n    NEW_UI: true\n    OTHER: false\n")
    variables = {
        "FEATURE_NEW_UI": "hunter2", "ROLLOUT_OTHER": "1000", "FEATURE_OTHER": "true", "FEATURE_NEW_IU": "true",
        "FEATURE_STORE_URL": "x", "ROLLOUT_WAVE": "3",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["check", "flags.yaml", "fine.yaml"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "flags.yaml:6:3: warning: the environment's FEATURE_NEW_IU is about no flag; did you mean FEATURE_NEW_UI?",
        "flags.yaml:7:5: warning: the environment's FEATURE_NEW_UI: true or false is wanted",
        "flags.yaml:8:5: warning: the environment's ROLLOUT_OTHER: a share of 0 to 100 % is wanted",
        "flags.yaml: fine",
        "fine.yaml: fine",
    ]


def test_variables_come_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "var.yaml").write_text(FINE.replace("http://127.0.0.1:3000", '"http://${GATEWAY_TEST_APP_HOST}:3000"'))
    monkeypatch.delenv("GATEWAY_TEST_APP_HOST", raising=False)
    assert main(["check", "var.yaml"]) == 1
    monkeypatch.setenv("GATEWAY_TEST_APP_HOST", "app.internal")
    assert main(["check", "var.yaml"]) == 0


def test_a_secret_is_not_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_TEST_SECRET", "hunter 2")
    route = "egress: {routes: [{path: /**, upstream: a}]}\n"
    for place in [
        "{preset: openai, api_key: %}",
        "{url: %}",
        "{preset: %}",
        "{preset: openai, timeout: %}",
        "{url: 'http://x', breaker: {share: %}}",
    ]:
        (folder / "secret.yaml").write_text(
            f"{route}upstreams:\n  a: {place.replace('%', chr(34) + '${GATEWAY_TEST_SECRET}' + chr(34))}\n"
        )
        assert main(["check", "secret.yaml"]) == 1
    out, err = capsys.readouterr()
    assert out.count("secret.yaml:3:") == 5
    assert "hunter" not in out + err
