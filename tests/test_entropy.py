"""Random bytes in batches: each given out once, none left out of an id."""

from __future__ import annotations

from gateway.entropy import Entropy


def test_every_take_is_whole_and_its_own_across_batches() -> None:
    entropy = Entropy()
    taken = [entropy.take(40) for _ in range(1000)]  # five batches
    assert {len(piece) for piece in taken} == {40}
    assert len({piece[at : at + 8] for piece in taken for at in range(0, 40, 8)}) == 5000


def test_a_batch_is_used_from_its_first_byte_to_its_last_full_take() -> None:
    entropy = Entropy()
    pieces = b"".join(entropy.take(16) for _ in range(512))
    assert pieces == entropy._bytes
    assert entropy.take(16) not in pieces


def test_sources_differ() -> None:
    assert Entropy().take(32) != Entropy().take(32)
