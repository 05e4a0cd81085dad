"""`chaos clean`: what it says, when it asks, and its exit codes."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from chaos.__main__ import main
from chaos.process.run_lock import RunLock

OLD, NEW = "2026-01-01T10-00-00Z", "2026-01-02T10-00-00Z"


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    for name in (OLD, NEW):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "results.json").write_bytes(bytes(1_500_000))
    (tmp_path / "latest").symlink_to(NEW)
    return tmp_path


def _names(reports: Path) -> list[str]:
    return sorted(each.name for each in reports.iterdir())


def test_with_yes_the_old_ones_go(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean", "--keep", "1", "--yes", f"--reports={reports}"]) == 0

    assert _names(reports) == [NEW, "latest"]
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"Of 2 runs in {reports}, 1 to be removed:"
    assert said[1].split() == [OLD, "1.5", "MB"]
    assert said[-1] == "Removed 1 run; 1 run left."


def test_nobody_there_and_no_yes_removes_nothing(
    reports: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))

    assert main(["clean", "--keep", "1", f"--reports={reports}"]) == 2

    assert "add --yes" in capsys.readouterr().err
    assert _names(reports) == [OLD, NEW, "latest"]


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("yes\n", 0, 2), ("no\n", 1, 3), ("\n", 1, 3), ("", 1, 3)]
)
def test_on_a_terminal_it_asks(
    reports: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: int
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))

    assert main(["clean", "--keep", "1", f"--reports={reports}"]) == code

    assert len(_names(reports)) == left


def test_nothing_to_remove_is_no_failure(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean", f"--reports={reports}"]) == 0

    assert capsys.readouterr().out == f"Nothing to remove: 2 runs in {reports}.\n"


def test_no_such_folder_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean", "--reports=nowhere"]) == 2

    assert capsys.readouterr().err.startswith("there is no folder nowhere")


@pytest.mark.parametrize("number", ["-1", "x", "1.5", ""])
def test_what_is_kept_must_be_a_number(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["clean", f"--keep={number}"])

    assert f"must be a number from 0, not {number!r}" in capsys.readouterr().err


def test_a_run_that_is_written_stays_and_is_named(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = RunLock(reports / OLD)

    assert main(["clean", "--keep", "0", "--yes", f"--reports={reports}"]) == 0
    lock.release()

    assert _names(reports) == [OLD, NEW, "latest"]
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{OLD} may still be in progress, and is kept."
