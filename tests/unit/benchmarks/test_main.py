"""The command line, and what is left in the folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import recovery
from benchmarks.__main__ import main, write
from benchmarks.figures import Benchmark, Report


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["recoveries"], "choose from payments, proxies, recovery"),
        (["--times=0"], "must be a number from 1"),
        (["--times=many"], "must be a number from 1"),
    ],
)
def test_a_mistake_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_a_folder_that_is_no_run_and_a_program_that_is_none_are_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, reports = tmp_path / "temporal", tmp_path / "reports"

    assert main(["suite", f"--run={tmp_path}", f"--reports={reports}"]) == 2
    assert f"bench: {tmp_path} has no results.json" in capsys.readouterr().err
    assert main(["restart", f"--temporal-cli={missing}", f"--reports={reports}"]) == 2
    assert str(missing) in capsys.readouterr().err
    assert not reports.exists()


def test_a_report_is_left_as_json_and_markdown_and_of_recovery_a_picture(tmp_path: Path) -> None:
    trials = {
        recovery.UNDISTURBED: [recovery.Trial(3.0)],
        recovery.HEARTBEATS: [recovery.Trial(48.0, 40.5)],
    }
    benchmark = Benchmark(
        name="recovery",
        question="",
        found=recovery.found(trials),
        duration_s=3,
        load_before=0.5,
    )
    report = Report(started_at=datetime.now(UTC), machine="", benchmarks=(benchmark,))

    folder = write(tmp_path, report)

    assert Report.model_validate_json((folder / "bench.json").read_bytes()) == report
    assert "| heartbeats only | - |" not in (folder / "bench.md").read_text()
    assert "<svg" in (folder / "recovery.svg").read_text()
    assert len(list(folder.iterdir())) == 3
