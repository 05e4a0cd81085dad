"""A waiting alert is whole or not there, once, and one worker's at a time."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Literal

import pytest

from workflows.alerts.alert import Alert
from workflows.alerts.limits import Limits
from workflows.alerts.spool import (
    REFUSED,
    Claim,
    Spool,
    SpoolFullError,
    UnreadableError,
    waiting_elsewhere,
)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "alerts" / "webhook", Limits(most_pending=3))


def numbered(alert: Alert, attempt: int) -> Alert:
    return alert.model_copy(update={"attempt": attempt})


def claimed(spool: Spool, name: str) -> Claim:
    claim = spool.claim(name)
    assert claim is not None
    return claim


def test_what_was_put_is_read_back(spool: Spool, alert: Alert) -> None:
    spool.put(alert)
    (name,) = spool.pending()
    with claimed(spool, name) as claim:
        assert claim.read() == alert


def test_nothing_waits_before_the_first_alert(spool: Spool) -> None:
    assert spool.pending() == []


def test_what_is_no_file_of_ours_holds_up_no_alert(spool: Spool, alert: Alert) -> None:
    spool.folder.mkdir(parents=True)
    (spool.folder / "folder.json").mkdir()
    os.mkfifo(spool.folder / "pipe.json")
    (spool.folder / "link.json").symlink_to("/dev/zero")
    (spool.folder / "broken.json").symlink_to("nowhere")

    Spool(spool.folder, Limits(most_pending=9)).put(alert)

    assert spool.pending() == [f"{alert.key}.json"]


def test_the_same_alert_waits_once(spool: Spool, alert: Alert) -> None:
    spool.put(alert)
    spool.put(alert.model_copy(update={"worker": "456@other"}))
    (name,) = spool.pending()
    with claimed(spool, name) as claim:
        assert claim.read() == alert


def test_the_oldest_comes_first(spool: Spool, alert: Alert) -> None:
    alerts = [numbered(alert, attempt) for attempt in (2, 3, 4)]
    for age, each in enumerate(alerts):
        spool.put(each)
        os.utime(spool.folder / f"{each.key}.json", (100 - age, 100 - age))
    assert spool.pending() == [f"{each.key}.json" for each in reversed(alerts)]


def test_a_claimed_alert_is_nobody_elses(spool: Spool, alert: Alert) -> None:
    spool.put(alert)
    (name,) = spool.pending()
    with claimed(spool, name):
        assert spool.claim(name) is None
    with claimed(spool, name) as again:
        assert again.read() == alert


def test_a_removed_alert_is_gone(spool: Spool, alert: Alert) -> None:
    spool.put(alert)
    (name,) = spool.pending()
    with claimed(spool, name) as claim:
        claim.remove()
    assert spool.pending() == []
    assert spool.claim(name) is None


def test_an_alert_that_was_delivered_in_the_moment_before_the_claim_is_not_claimed(
    spool: Spool, alert: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.put(alert)
    (name,) = spool.pending()
    path = spool.folder / name
    opened = Path.open

    def open_late(self: Path, mode: Literal["rb"]) -> object:
        file = opened(self, mode)
        path.unlink()
        return file

    monkeypatch.setattr(Path, "open", open_late)
    assert spool.claim(name) is None


def test_a_file_that_took_the_place_of_the_opened_one_is_not_claimed(
    spool: Spool, alert: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.put(alert)
    (name,) = spool.pending()
    path = spool.folder / name
    opened = Path.open

    def open_late(self: Path, mode: Literal["rb"]) -> object:
        file = opened(self, mode)
        path.unlink()
        path.touch()
        return file

    monkeypatch.setattr(Path, "open", open_late)
    assert spool.claim(name) is None


def test_a_full_spool_takes_no_more_and_keeps_the_oldest(spool: Spool, alert: Alert) -> None:
    alerts = [numbered(alert, attempt) for attempt in (2, 3, 4)]
    for each in alerts:
        spool.put(each)
    with pytest.raises(SpoolFullError):
        spool.put(numbered(alert, 5))
    assert set(spool.pending()) == {f"{each.key}.json" for each in alerts}


def test_a_refused_alert_is_kept_aside_and_can_be_moved_back(spool: Spool, alert: Alert) -> None:
    spool.put(alert)
    (name,) = spool.pending()
    with claimed(spool, name) as claim:
        claim.set_aside()
    assert spool.pending() == []
    (spool.folder / REFUSED / name).rename(spool.folder / name)
    with claimed(spool, name) as claim:
        assert claim.read() == alert


def test_refused_alerts_are_bounded(spool: Spool, alert: Alert) -> None:
    for attempt in (2, 3, 4, 5):
        spool.put(numbered(alert, attempt))
        with claimed(spool, spool.pending()[0]) as claim:
            claim.set_aside()
    assert spool.pending() == []
    kept = {file.name for file in (spool.folder / REFUSED).iterdir()}
    assert kept == {f"{numbered(alert, attempt).key}.json" for attempt in (2, 3, 4)}


def test_a_disk_that_fails_leaves_nothing_half_written(
    spool: Spool, alert: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.folder.mkdir(parents=True)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        spool.put(alert)
    assert list(spool.folder.iterdir()) == []


def test_an_alert_is_on_disk_before_it_has_its_name(
    spool: Spool, alert: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.folder.mkdir(parents=True)
    seen: list[tuple[int, int]] = []
    sync = os.fsync

    def fsync(handle: int) -> None:
        seen.append((len(spool.pending()), os.fstat(handle).st_size))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    spool.put(alert)
    # First the file, whole and without its name; then the folder that has the name.
    assert seen[0] == (0, len(alert.model_dump_json()))
    assert seen[1][0] == 1


def test_what_a_killed_writer_left_is_swept_when_it_is_old(spool: Spool, alert: Alert) -> None:
    spool.put(alert)
    old, new = spool.folder / ".old", spool.folder / ".new"
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    os.utime(spool.folder / spool.pending()[0], (0, 0))
    spool.sweep()
    assert (old.exists(), new.exists(), len(spool.pending())) == (False, True, 1)


def test_a_file_that_is_no_alert_is_told(spool: Spool) -> None:
    spool.folder.mkdir(parents=True)
    (spool.folder / "odd.json").write_text("{}")
    with claimed(spool, "odd.json") as claim, pytest.raises(UnreadableError):
        claim.read()


def test_alerts_of_other_channels_are_counted(tmp_path: Path, alert: Alert) -> None:
    for channel in ("webhook", "email-ops@example.com"):
        Spool(tmp_path / channel, Limits()).put(alert)
    assert waiting_elsewhere(tmp_path, ["webhook"]) == {"email-ops@example.com": 1}
