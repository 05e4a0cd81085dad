"""`chaos probe`, up to where processes would be started."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.__main__ import main, make_parser
from chaos.cli.probe import command_of, notes_on
from chaos.search.probe.run import PATIENCE_SECONDS

ENOUGH = ["--worker", "npm start", "--task-queue", "orders", "--workflow", "Order"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--sample", "0"],
        ["--minutes", "0"],
        ["--lanes", "65"],
        ["--patience", "0"],
        ["--port", "x"],
        ["--action", "explode"],
        ["--work", "x"],
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["probe", *wrong])

    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "--worker is missing"),
        (["--like", "order-1"], "--worker is missing"),
        (ENOUGH[:2], "--task-queue is missing"),
        (ENOUGH[:4], "--workflow is missing"),
        ([*ENOUGH, "--input", "{"], "--input is not JSON"),
        ([*ENOUGH, "--cwd", "/nonesuch"], "'/nonesuch' is no folder"),
        ([*ENOUGH, "--at", "charge_card"], "is not a boundary"),
        (["--target", "tests.chaos.video.target:NONE", "--spec", "x"], "cannot be imported"),
        (
            ["--target", "tests.chaos.video.target:VIDEO", "--spec", "x"],
            "one of the target's specs",
        ),
        (["--target", "x:y", "--worker", "z"], "leave out --worker"),
    ],
)
def test_what_is_missing_or_wrong_is_one_sentence(
    given: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", *given]) == 2

    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_server_that_is_not_there_is_told_with_what_else_would_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))
    like = ["--like", "order-1", "--address", "127.0.0.1:1"]

    assert main(["probe", "--worker", "npm start", *like]) == 2
    said = capsys.readouterr().err
    assert "cannot be read from the server at 127.0.0.1:1" in said
    assert "in place of --like" in said


def test_a_program_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "temporal"
    given = [*ENOUGH, "--reports", str(tmp_path), "--temporal-cli", str(missing)]

    assert main(["probe", *given]) == 2
    assert str(missing) in capsys.readouterr().err


def _parsed(*words: str) -> argparse.Namespace:
    return make_parser("temporal-chaos").parse_args(["probe", *words])


def test_the_command_that_repeats_it_has_what_is_probed_and_not_what_was_chosen() -> None:
    typed = [*ENOUGH, "--input", '{"id": "{id}"}', "--env", "HOME", "--patience", "120"]
    command = command_of(_parsed(*typed, "--sample", "3", "--at", "activity x completing"))

    assert command == (
        "temporal-chaos probe --worker 'npm start' --task-queue orders --workflow Order "
        """--input '{"id": "{id}"}' --env HOME --patience 120"""
    )


def test_an_input_that_all_runs_share_is_told() -> None:
    (note,) = notes_on(_parsed(*ENOUGH, "--input", '"order-1"'))

    assert "The input has no {id}" in note
    assert not notes_on(_parsed(*ENOUGH, "--input", "7", "--input", '"{id}"'))
    assert not notes_on(_parsed(*ENOUGH))


def test_the_command_line_is_as_patient_as_a_test() -> None:
    assert _parsed(*ENOUGH).patience == PATIENCE_SECONDS


def test_the_help_is_there_at_once() -> None:
    code = (
        "import sys\nfrom contextlib import suppress\nfrom chaos.__main__ import main\n"
        "with suppress(SystemExit): main(['probe', '--help'])\n"
        "print(sorted({'temporalio', 'pydantic', 'psutil'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert "exit code:" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "[]"
