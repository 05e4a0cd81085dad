"""The frame of the command line: names, help, exit codes, output that nobody reads."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos import __main__ as module
from chaos.__main__ import PROGRAM, main, make_parser

COMMANDS = (
    *("list", "run", "up", "report", "recheck", "replay", "shrink", "explore", "probe"),
    *("campaign", "worker", "clean", "doctor"),
)


def _help(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [f"/somewhere/bin/{PROGRAM}"])

    text = _help(capsys, name)

    assert f"usage: {PROGRAM} {name}" in text
    assert f"{PROGRAM} {name}" in text.partition("example")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_into_80_columns(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is called: `python -m chaos` is the longer name."""
    monkeypatch.setenv("COLUMNS", "80")

    lines = _help(capsys, name).splitlines()

    assert [line for line in lines if len(line) > 80] == []


def test_the_commands_are_those_that_the_help_lists(capsys: pytest.CaptureFixture[str]) -> None:
    text = _help(capsys)

    listed = text.partition("COMMAND\n")[2].partition("\n\n")[0].splitlines()
    names = [line.split()[0] for line in listed if line.startswith("    ") and line[4] != " "]
    assert names == list(COMMANDS)


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (f"/somewhere/bin/{PROGRAM}", PROGRAM),
        ("/somewhere/chaos/__main__.py", "python -m chaos"),
        ("-c", "python -m chaos"),
    ],
)
def test_it_is_called_as_the_user_has_called_it(
    program: str, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [program])

    text = _help(capsys)

    assert text.startswith(f"usage: {name} [-h]")
    assert f"\n  {name} doctor " in text


@pytest.mark.parametrize("arguments", [[], ["lst"], ["list", "--jsn"], ["list", "more"]])
def test_misuse_is_exit_code_2_and_no_trace(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("usage: ")
    assert "Traceback" not in said.err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])

    assert capsys.readouterr().out.startswith("temporal-chaos ")


def _carrying_out(do: Callable[[], int]) -> Callable[[object], int]:
    return lambda _: do()


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_carry_out", _carrying_out(interrupt))

    assert main(["list"]) == 130


def test_a_package_that_is_lacking_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise ModuleNotFoundError("No module named 'pydantic'", name="pydantic")

    monkeypatch.setattr(module, "_carry_out", _carrying_out(fail))

    assert main(["list"]) == 2
    assert capsys.readouterr().err == (
        "Python has no package pydantic: python -m chaos doctor says what is missing.\n"
    )


def test_a_module_of_our_own_that_is_lacking_is_our_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told whole, and its exit code is not that of an answer that is no."""

    def fail() -> int:
        raise ModuleNotFoundError("No module named 'chaos.nothing'", name="chaos.nothing")

    monkeypatch.setattr(module, "_carry_out", _carrying_out(fail))

    assert main(["list"]) == 2

    said = capsys.readouterr().err
    assert "No module named 'chaos.nothing'" in said
    assert said.splitlines()[-1].startswith("This is a bug in python -m chaos, not a verdict")


def test_a_letter_that_the_output_has_not_is_a_question_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))

    def speak() -> int:
        sys.stdout.write("a ± b …\n")
        return 0

    monkeypatch.setattr(module, "_carry_out", _carrying_out(speak))

    assert main([]) == 0
    assert written.getvalue() == b"a ? b ?\n"


def test_a_parser_can_be_made_for_any_name() -> None:
    assert make_parser("mine").prog == "mine"


def test_what_cannot_be_done_here_is_a_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert [main([name]) for name in ("list", "up")] == [2, 2]
    assert main(["recheck", "RUN"]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    sentence = (
        f"{tmp_path}/pyproject.toml names no target: add a table [tool.chaos] with "
        'targets = ["module:attribute"], each a chaos.Target.'
    )
    assert said.err.splitlines() == [sentence] * 3
