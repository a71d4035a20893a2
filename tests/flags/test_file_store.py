"""A file keeps what a store promises, and what becomes of one that cannot be read or written."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from gateway.flags import document, file_store
from gateway.flags.file_store import FileStore
from gateway.state.ports import Unavailable
from tests.flags.contract import Open, SharedContract
from tests.flags.replicas import SOON, Replica, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flags.json"


@pytest_asyncio.fixture
async def replica(path: Path, no_leaked_tasks: None) -> AsyncIterator[Open]:
    """Starts replicas; they end with the test, which none of them may have found a bug in."""
    opened: list[Replica] = []

    async def start() -> Replica:
        one = Replica(lambda moved, bug: FileStore(str(path), moved, bug))
        opened.append(one)
        await one.store.start()
        return one

    yield start
    for one in opened:
        await one.store.close()
    assert [bug for one in opened for bug in one.bugs] == []


class TestFileStore(SharedContract):
    """The contract."""


async def test_people_can_read_and_write_it(replica: Open, path: Path) -> None:
    a = await replica()
    await a.put("A", {"enabled": True}, "ann", "go")
    held = orjson.loads(path.read_bytes())
    assert held["flags"]["A"]["value"] == {"enabled": True}
    held["flags"]["B"] = {"value": {"rollout": "100%"}, "who": "by hand", "why": "", "when": 1}
    del held["flags"]["A"]
    path.write_bytes(orjson.dumps(held))
    assert await until(lambda: a.on("B") and not a.on("A")) < SOON
    assert a.registry.shown("B").changed == ("B", {"rollout": "100%"}, "by hand", "", 1.0)


async def test_what_by_hand_is_wrong_is_left_out_and_said(replica: Open, path: Path) -> None:
    wrong = {"value": {"rollout": "lots"}, "who": "by hand", "why": "", "when": 1}
    right = {"value": {"enabled": True}, "who": "by hand", "why": "", "when": 1}
    path.write_bytes(orjson.dumps({"version": 1, "flags": {"B": wrong, "A": right}}))
    a = await replica()
    assert a.on("A")
    shown = a.registry.shown("B")
    assert shown.effective == {"rollout": "10%", "users": ["u1"]}
    assert [str(one) for one in shown.ignored] == ["rollout: a share of 0 to 100 % is wanted, not 'lots'"]
    assert a.registry.health() == ("degraded", "live values that this config cannot have: B")


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"version": 2, "flags": {}}', b'{"version": 1, "flags": []}', b"\xff", b"1" * 100]
)
def test_what_is_not_read(path: Path, damage: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "LARGEST", 50)
    path.write_bytes(damage)
    with pytest.raises(document.Fault):
        document.read(path)


async def test_a_damaged_file_is_left_alone(replica: Open, path: Path) -> None:
    damage = b'{"version": 1, "flags": {"A": 1}}'
    a = await replica()
    await a.put("A", {"enabled": True})
    whole = path.read_bytes()
    path.write_bytes(damage)
    await until(lambda: a.registry.health()[0] == "degraded", SOON)
    assert a.on("A"), "the last known values stay"
    with pytest.raises(Unavailable, match="not what is kept there"):
        await a.put("A", {"enabled": False})
    assert path.read_bytes() == damage
    assert a.on("A")
    path.write_bytes(whole)
    await until(lambda: a.registry.health()[0] == "healthy", SOON)
    assert [up for up, _ in a.moves] == [False, True], "said once each way"
    await a.put("A", {"enabled": False})
    assert not a.on("A")


async def test_a_file_that_is_gone_is_written_anew_with_all_that_was_known(replica: Open, path: Path) -> None:
    a = await replica()
    await a.put("A", {"enabled": True}, "ann", "go")
    path.unlink()
    await until(lambda: a.registry.health()[0] == "degraded", SOON)
    assert a.on("A")
    assert "it is gone; " in a.registry.health()[1].replace("(", "").replace(")", "")
    await a.put("B", {"enabled": False})
    assert a.registry.health() == ("healthy", "")
    b = await replica()
    assert b.on("A")
    assert [one.why for one in await b.registry.history("A")] == ["go"]


async def test_one_that_cannot_be_written_is_said_and_changes_nothing(replica: Open, path: Path) -> None:
    folder = path.parent / "gone"
    one = Replica(lambda moved, bug: FileStore(str(folder / "flags.json"), moved, bug))
    await one.store.start()
    try:
        assert one.registry.health()[0] == "degraded"
        assert "no such file or directory" in one.registry.health()[1]
        with pytest.raises(Unavailable, match="cannot be written: no such file or directory"):
            await one.put("A", {"enabled": True})
        assert not one.on("A")
        folder.mkdir()
        await until(lambda: one.registry.health() == ("healthy", ""), SOON)
        await one.put("A", {"enabled": True})
        assert one.on("A")
        assert [up for up, _ in one.moves] == [False, True]
    finally:
        await one.store.close()


@pytest.fixture
def nobody() -> Iterator[None]:
    """Not to be root, who may write everywhere."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65_534)
    yield
    os.seteuid(before)


async def test_a_folder_that_may_not_be_written(request: pytest.FixtureRequest, no_leaked_tasks: None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.json"
        path.write_text(
            '{"version": 1, "flags": {"A": {"value": {"enabled": true}, "who": "", "why": "", "when": 1}}}'
        )
        path.chmod(0o444)
        path.parent.chmod(0o555)
        request.getfixturevalue("nobody")
        one = Replica(lambda moved, bug: FileStore(str(path), moved, bug))
        await one.store.start()
        try:
            assert one.on("A"), "it can be read"
            assert "permission denied" in one.registry.health()[1]
            with pytest.raises(Unavailable, match="permission denied"):
                await one.put("A", {"enabled": False})
            assert one.on("A")
        finally:
            await one.store.close()
            os.seteuid(os.getuid())
            path.parent.chmod(0o755)


async def test_who_holds_the_lock_for_ever_is_waited_for_and_no_longer(
    replica: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = await replica()
    monkeypatch.setattr(document.write, "__defaults__", (0.05,))
    with document._locked(path, 1.0), pytest.raises(Unavailable, match="its lock cannot be had"):
        await a.put("A", {"enabled": True})
    assert not a.on("A")
    await a.put("A", {"enabled": True})
    assert a.on("A")


async def test_a_disk_that_hangs_is_said(replica: Open, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = await replica()
    monkeypatch.setattr(file_store, "_PATIENCE", 0.1)
    # A pipe that nobody writes to: opening it for reading hangs, as a disk may.
    os.mkfifo(path)
    try:
        await until(lambda: "does not answer" in a.registry.health()[1])
        with pytest.raises(Unavailable, match="does not answer"):
            await a.put("A", {"enabled": True})
        assert not a.on("A")
    finally:
        writer = await asyncio.to_thread(os.open, path, os.O_WRONLY)
        os.close(writer)
        path.unlink()
    await until(lambda: a.registry.health() == ("healthy", ""))


async def test_a_link_stays_one_and_rights_stay(replica: Open, path: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.json"
    target.write_text('{"version": 1, "flags": {}}')
    target.chmod(0o640)
    path.symlink_to(target)
    a = await replica()
    await a.put("A", {"enabled": True})
    assert path.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert orjson.loads(target.read_bytes())["flags"]["A"]["value"] == {"enabled": True}
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")], "nothing is left beside it"


async def test_the_history_of_all_has_an_end(replica: Open, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_LARGEST_HISTORY", 500)
    a = await replica()
    for number in range(10):
        await a.put("A" if number % 2 else "B", {"rollout": f"{number}%"}, "ann", f"step {number}")
    found = await a.registry.history("A") + await a.registry.history("B")
    assert 3 < len(found) < 8
    assert {one.why for one in found} == {f"step {number}" for number in range(10 - len(found), 10)}
    assert a.registry.shown("B").live == {"rollout": "8%"}
