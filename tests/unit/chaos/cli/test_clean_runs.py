"""Old runs: which may go, and how they go."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos.cli.clean import (
    IN_HAND_SECONDS,
    KeptError,
    KeptRun,
    Plan,
    finish_removals,
    kept_runs,
    remove,
)
from chaos.process.run_lock import RunLock

OLD, MIDDLE, NEW = (f"2026-01-0{day}T10-00-00Z" for day in (1, 2, 3))


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    folder.mkdir()
    return folder


def _run(reports: Path, name: str, *, results: bool = True, age_seconds: float = 1e6) -> Path:
    """A run as it lies there, with a case of one scenario."""
    folder = reports / name
    journal = folder / "checkpoint" / "one" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("x" * 1000)
    if results:
        (folder / "results.json").write_text("{}")
    then = time.time() - age_seconds
    for each in (*folder.rglob("*"), folder):
        os.utime(each, (then, then))
    return folder


def _names(runs: Sequence[KeptRun]) -> list[str]:
    return [run.folder.name for run in runs]


def test_the_oldest_may_go(reports: Path) -> None:
    for name in (NEW, OLD, MIDDLE):
        _run(reports, name)

    assert _names(Plan.of(kept_runs(reports), keep=1).going) == [OLD, MIDDLE]
    assert _names(Plan.of(kept_runs(reports), keep=3).going) == []
    assert _names(Plan.of(kept_runs(reports), keep=0).going) == [OLD, MIDDLE, NEW]


def test_runs_of_one_second_are_in_the_order_of_their_numbers(reports: Path) -> None:
    for suffix in ("-10", "", "-2"):
        _run(reports, f"{OLD}{suffix}")

    assert _names(kept_runs(reports)) == [OLD, f"{OLD}-2", f"{OLD}-10"]


def test_that_which_latest_means_stays(reports: Path) -> None:
    for name in (OLD, NEW):
        _run(reports, name)
    (reports / "latest").symlink_to(OLD)

    assert _names(Plan.of(kept_runs(reports), keep=0).going) == [NEW]


@pytest.mark.parametrize("name", ["explore-2026-01-01T10-00-00Z", "mine", "2026-01-01", ".hidden"])
def test_what_has_another_name_is_no_run(reports: Path, name: str) -> None:
    _run(reports, name)

    assert kept_runs(reports) == []


def test_a_folder_of_somebody_else_is_no_run_whatever_its_name(reports: Path) -> None:
    (reports / OLD).mkdir()
    (reports / OLD / "photo.jpg").touch()

    assert kept_runs(reports) == []


def test_what_cannot_be_read_is_left_alone_and_hinders_nobody(
    reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (OLD, NEW):
        _run(reports, name)
    is_file = Path.is_file

    def refuse(path: Path) -> bool:
        if path.parent.name == OLD:
            raise PermissionError(13, "Permission denied")
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refuse)

    assert _names(kept_runs(reports)) == [NEW]


def test_a_file_with_the_name_of_a_run_is_none(reports: Path) -> None:
    (reports / OLD).touch()

    assert kept_runs(reports) == []


def test_what_a_link_leads_to_is_no_run(reports: Path, tmp_path: Path) -> None:
    _run(tmp_path, "elsewhere")
    (reports / OLD).symlink_to(tmp_path / "elsewhere")

    assert kept_runs(reports) == []


def test_a_folder_that_is_a_link_is_refused(reports: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(reports)

    with pytest.raises(KeptError, match=rf"symbolic link; name the folder itself: {reports}\."):
        kept_runs(link)


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(KeptError, match=r"there is no folder .*/none; name yours by --reports"):
        kept_runs(tmp_path / "none")


def test_a_run_without_results_that_was_touched_lately_may_be_in_hand(reports: Path) -> None:
    _run(reports, OLD, results=False, age_seconds=IN_HAND_SECONDS - 60)
    _run(reports, MIDDLE, results=False, age_seconds=IN_HAND_SECONDS + 60)

    assert _names(Plan.of(kept_runs(reports), keep=0).going) == [MIDDLE]


def test_a_new_run_that_has_nothing_yet_is_in_use(reports: Path) -> None:
    (reports / OLD).mkdir()

    assert _names(kept_runs(reports)) == [OLD]
    assert Plan.of(kept_runs(reports), keep=0).going == []


def test_one_file_that_is_still_written_keeps_the_whole_run(reports: Path) -> None:
    folder = _run(reports, OLD, results=False)
    (folder / "checkpoint" / "one" / "journal.jsonl").write_text("more")

    assert Plan.of(kept_runs(reports), keep=0).going == []


def test_a_run_that_its_writer_has_locked_stays(reports: Path) -> None:
    lock = RunLock(_run(reports, OLD))

    assert _names(Plan.of(kept_runs(reports), keep=0).in_use) == [OLD]
    assert Plan.of(kept_runs(reports), keep=0).going == []

    lock.release()
    assert _names(Plan.of(kept_runs(reports), keep=0).going) == [OLD]


def test_its_size_is_that_of_all_files(reports: Path) -> None:
    folder = _run(reports, OLD)
    (run,) = kept_runs(reports)
    before = run.size_bytes

    (folder / "checkpoint" / "more").write_bytes(bytes(5000))

    assert run.size_bytes == before + 5000


def test_a_removed_run_is_gone_and_nothing_else(reports: Path) -> None:
    for name in (OLD, NEW):
        _run(reports, name)

    remove(kept_runs(reports)[0])

    assert [each.name for each in reports.iterdir()] == [NEW]


def test_what_links_in_a_run_lead_to_stays(reports: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").touch()
    (_run(reports, OLD) / "link").symlink_to(mine)

    remove(kept_runs(reports)[0])

    assert (mine / "file").exists()


def test_a_removal_that_breaks_off_leaves_no_half_run_and_is_finished_later(
    reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (OLD, NEW):
        _run(reports, name)

    def break_off(path: Path) -> None:
        (path / "results.json").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", break_off)
        with pytest.raises(KeyboardInterrupt):
            remove(kept_runs(reports)[0])

    assert _names(kept_runs(reports)) == [NEW]
    finish_removals(reports)
    assert [each.name for each in reports.iterdir()] == [NEW]


def test_a_removal_is_not_finished_through_a_link_nor_of_what_was_no_run(
    reports: Path, tmp_path: Path
) -> None:
    _run(tmp_path, "elsewhere")
    (reports / f".removing-{OLD}").symlink_to(tmp_path / "elsewhere")
    (reports / ".removing-mine").mkdir()

    finish_removals(reports)

    assert (tmp_path / "elsewhere" / "results.json").exists()
    assert (reports / ".removing-mine").exists()


def test_a_run_of_another_user_stays_whole(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = _run(reports, OLD) / "checkpoint"
    monkeypatch.setattr(os, "access", lambda path, _: path != theirs)

    with pytest.raises(KeptError, match="checkpoint belongs to another user"):
        remove(kept_runs(reports)[0])

    assert (theirs / "one" / "journal.jsonl").exists()


def test_what_cannot_be_removed_is_a_sentence(
    reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(reports, OLD)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)

    with pytest.raises(KeptError, match=rf"{OLD} cannot be removed \(Permission denied\)"):
        remove(kept_runs(reports)[0])
