"""`chaos explore`, up to where processes would be started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chaos.__main__ import main


@pytest.mark.parametrize(
    "wrong",
    [
        ["--sample", "0"],
        ["--sample", "many"],
        ["--minutes", "0"],
        ["--minutes", "nan"],
        ["--minutes", "inf"],
        ["--lanes", "65"],
        ["--fresh", "--resume", "x"],
        ["--samp", "3"],
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explore", *wrong])

    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--workflow", "none"], "must be one of the target's specs: single, series, long_series"),
        (["--target", "tests.chaos.video.target:NONE"], "cannot be imported"),
    ],
)
def test_what_the_project_does_not_have_is_told(
    wrong: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explore", *wrong]) == 2
    assert sentence in capsys.readouterr().err


def test_what_is_no_exploration_cannot_be_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explore", "--resume", str(tmp_path / "nothing")]) == 2
    assert "is not the folder of an exploration" in capsys.readouterr().err


def test_a_program_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "temporal"

    assert main(["explore", "--reports", str(tmp_path), "--temporal-cli", str(missing)]) == 2
    assert str(missing) in capsys.readouterr().err


def test_the_help_is_there_at_once() -> None:
    code = (
        "import sys\nfrom contextlib import suppress\nfrom chaos.__main__ import main\n"
        "with suppress(SystemExit): main(['explore', '--help'])\n"
        "print(sorted({'temporalio', 'pydantic', 'psutil'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert "exit code:" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "[]"
