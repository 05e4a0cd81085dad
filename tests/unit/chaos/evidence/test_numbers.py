"""Numbers on any command line of the project: ASCII digits, and nothing else that Python reads."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from chaos.__main__ import main
from chaos.evidence import numbers
from chaos.plugin import options
from tests.chaos.video.live import amount
from workflows.fleet.__main__ import main as fleet
from workflows.service.__main__ import _parser as service_parser
from workflows.settings import SettingsError

NO_NUMBERS = (
    *("٣", "²", "½", "\uff11\uff12", "1_0", " 1", "1\n", "+1", "0x1", "1e1", "9" * 5000, "x", ""),
)


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize(
    "read",
    [numbers.whole(0), numbers.port, options.count, options.duration_seconds, amount],
)
def test_no_reader_takes_what_only_python_would(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="must be a") as refused:
        read(text)

    assert len(str(refused.value)) < 150


def test_what_is_a_number_is_read() -> None:
    assert numbers.whole(1, 10)("010") == 10
    assert numbers.port("65535") == 65_535
    assert numbers.number("1.5") == 1.5
    assert numbers.number(".5") == 0.5
    assert math.isnan(numbers.number("1."))


@pytest.mark.parametrize("text", ["0", "11"])
def test_what_is_out_of_bounds_is_told_with_them(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="from 1 to 10, not"):
        numbers.whole(1, 10)(text)


COMMANDS: tuple[tuple[Callable[[list[str]], int], str], ...] = (
    (main, "clean --keep="),
    (main, "clean --yes --keep="),
    (main, "up --workers="),
    (main, "report --against=x --noise="),
    (main, "shrink x --runs="),
    (main, "explore --sample="),
    (main, "explore --seed="),
    (main, "explore --lanes="),
    (main, "explore --minutes="),
    (fleet, "--workers="),
)


@pytest.mark.parametrize("text", ["٣", "²", "1_0"])
@pytest.mark.parametrize(("command", "option"), COMMANDS, ids=[o for _, o in COMMANDS])
def test_every_option_refuses_it_in_a_sentence(
    command: Callable[[list[str]], int], option: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    *words, last = option.split()

    with pytest.raises(SystemExit, match="2"):
        command([*words, f"{last}{text}"])

    said = capsys.readouterr().err
    assert f"not {text!r}" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("text", ["٣", "²", "80_80", "80808"])
def test_a_wrong_port_of_the_service_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is not a port"):
        service_parser().parse_args(["--port", text])
