"""Folders that are being written."""

from __future__ import annotations

from pathlib import Path

from chaos.process.run_lock import RunLock, is_held


def test_a_folder_is_held_until_the_last_hold_is_released(tmp_path: Path) -> None:
    assert not is_held(tmp_path)

    first, second = RunLock(tmp_path), RunLock(tmp_path)
    assert is_held(tmp_path)
    first.release()
    assert is_held(tmp_path)
    second.release()

    assert not is_held(tmp_path)


def test_to_ask_does_not_hold_it(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    assert not is_held(tmp_path)


def test_what_cannot_be_opened_counts_as_held(tmp_path: Path) -> None:
    assert is_held(tmp_path / "gone")
