"""Where the gateway is, by what token, and what is said when it is not there or says no."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from gateway.cli import admin_client
from gateway.cli.main import main
from tests.cli.conftest import TOKEN, Background

CONFIG = "ingress: {routes: [{path: /**, upstream: app}]}\nupstreams: {app: {url: http://127.0.0.1:3000}}\n"
Capture = pytest.CaptureFixture[str]


def test_the_url_comes_from_the_argument(admin: Background, capsys: Capture) -> None:
    assert main(["breakers", "--url", admin.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["breakers"][0]["name"] == "app"


def test_from_the_environment(admin: Background, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("GATEWAY_ADMIN_URL", admin.url)
    assert main(["breakers"]) == 0
    assert "app" in capsys.readouterr().out


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "", "localhost"])
def test_from_the_config_with_its_token(
    guarded: Background, host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_ADMIN_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    config = tmp_path / "gateway.yaml"
    config.write_text(f'{CONFIG}admin: {{bind: "{host}:{guarded.port}", token: "${{MY_TOKEN}}"}}\n')
    assert main(["breakers", "--config", str(config)]) == 0


@pytest.mark.parametrize("rest", ["nonsense: 1\n", "startup_wait: ${NOT_SET_HERE}\n", "egress: {routes: 3}\n"])
def test_from_a_config_that_is_wrong_elsewhere(guarded: Background, rest: str, tmp_path: Path) -> None:
    """A gateway that has refused it goes on running, and must be told to drain all the same."""
    config = tmp_path / "gateway.yaml"
    config.write_text(f"{CONFIG}{rest}admin: {{bind: 127.0.0.1:{guarded.port}, token: {TOKEN}}}\n")
    assert main(["breakers", "--config", str(config)]) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("admin: {bind: 3}\n", ":1:15: "),
        ("admin: {token: '${NOT_SET_HERE}'}\n", "the environment has no NOT_SET_HERE"),
        ("admin: {bind: 127.0.0.1:1}\nadmin: {}\n", "written twice"),
        ("admin: [\n", ":2:1: "),
        ("- admin\n", "must be a mapping"),
        ("", "says nothing"),
    ],
)
def test_a_config_that_does_not_say_where_it_is(text: str, said: str, tmp_path: Path, capsys: Capture) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(text)
    assert main(["breakers", "--config", str(config)]) == 1
    assert said in capsys.readouterr().err


def test_a_token_file_and_the_environment(
    guarded: Background, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert main(["breakers", "--url", guarded.url]) == 1
    assert capsys.readouterr().err == (
        "gateway: This needs the token. It is told by --config FILE, --token-file FILE or GATEWAY_ADMIN_TOKEN.\n"
    )
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    assert main(["breakers", "--url", guarded.url, "--token-file", str(token)]) == 0
    monkeypatch.setenv("GATEWAY_ADMIN_TOKEN", TOKEN)
    assert main(["breakers", "--url", guarded.url]) == 0
    monkeypatch.setenv("GATEWAY_ADMIN_TOKEN", "wrong")
    assert main(["breakers", "--url", guarded.url]) == 1
    assert "wrong" not in capsys.readouterr().err


def test_no_argument_takes_a_token(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["breakers", "--token", "x"])
    assert raised.value.code == 2


def test_options_stand_before_or_behind_the_subcommand(admin: Background, capsys: Capture) -> None:
    for words in (["--url", admin.url, "--json", "blocked"], ["blocked", "--url", admin.url, "--json"]):
        assert main(["limits", *words]) == 0
        assert json.loads(capsys.readouterr().out) == {"blocked": [], "total": 0}


@pytest.mark.parametrize("url", ["", "127.0.0.1:9091", "ftp://x", "http://", "http://x:port", "http://x:99999"])
def test_a_url_that_is_none_is_wrong_usage(url: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["breakers", "--url", url])
    assert raised.value.code == 2


def test_nobody_there(admin: Background, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    admin.close()
    assert main(["breakers", "--url", admin.url]) == 3
    assert capsys.readouterr().err == f"gateway: {admin.url} cannot be reached: Connection refused\n"
    monkeypatch.setenv("GATEWAY_ADMIN_URL", "nonsense")
    assert main(["breakers"]) == 3
    assert "GATEWAY_ADMIN_URL: 'nonsense' is no URL" in capsys.readouterr().err
    assert main(["breakers", "--token-file", str(tmp_path / "none")]) == 3
    (tmp_path / "off.yaml").write_text(CONFIG + "admin: false\n")
    assert main(["breakers", "--config", str(tmp_path / "off.yaml")]) == 3
    assert "turns the admin listener off" in capsys.readouterr().err
    (tmp_path / "wrong.yaml").write_text("admin: {bnd: 1}\n")
    assert main(["breakers", "--config", str(tmp_path / "wrong.yaml")]) == 1


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (b"", 3, "cannot be reached"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 3, "cannot be reached"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<a/>", 1, "200, but not as a gateway's admin listener"),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 2\r\n\r\n[]", 1, "502, but not as a gateway's admin listener"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 1, "200, but not as a gateway's admin listener"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{}", 3, "cannot be reached"),
    ],
)
def test_somebody_else_there(
    nothing_in_the_environment: None, answer: bytes, code: int, said: str, capsys: Capture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert main(["breakers", "--url", f"http://127.0.0.1:{server.getsockname()[1]}"]) == code
        thread.join(10)
    assert said in capsys.readouterr().err


def test_somebody_silent_there(
    nothing_in_the_environment: None, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(admin_client, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert main(["breakers", "--url", f"http://127.0.0.1:{server.getsockname()[1]}"]) == 3
    assert "cannot be reached: timed out" in capsys.readouterr().err
