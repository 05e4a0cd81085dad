"""What a user may ask of `python -m workflows.fleet`, and what is said of the rest."""

from __future__ import annotations

import sys

import pytest

from workflows.fleet.__main__ import _metrics, _parser, main
from workflows.settings import SettingsError


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--workers", "0"], "argument --workers: must be a number from 1 to 64, not '0'"),
        (["--workers", "65"], "argument --workers: must be a number from 1 to 64, not '65'"),
        (["--workers", "-1"], "argument --workers: must be a number from 1 to 64, not '-1'"),
        (["--workers", "2.5"], "argument --workers: must be a number from 1 to 64, not '2.5'"),
        (["--workers", "many"], "argument --workers: must be a number from 1 to 64, not 'many'"),
        (["--workers", "²"], "argument --workers: must be a number from 1 to 64, not '²'"),
        (["--workers", ""], "argument --workers: must be a number from 1 to 64, not ''"),
        (["--command", ""], "argument --command: is empty"),
        (["--command", "  "], "argument --command: is empty"),
        (["--command", "a 'b"], "argument --command: cannot be read (No closing quotation)"),
        (["--wrokers", "2"], "unrecognized arguments: --wrokers 2"),
        (["2"], "unrecognized arguments: 2"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_started(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"python -m workflows.fleet: error: {complaint}"
    )


def test_three_workers_are_the_default() -> None:
    options = _parser().parse_args([])
    assert options.workers == 3
    assert options.command == [sys.executable, "-m", "workflows.worker"]


def test_a_command_is_read_as_a_shell_would() -> None:
    options = _parser().parse_args(["--command", "nice -n 5 'a program' --flag"])
    assert options.command == ["nice", "-n", "5", "a program", "--flag"]


@pytest.mark.usefixtures("clean_environment")
def test_a_missing_key_is_told_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workers", "1"]) == 2
    assert capsys.readouterr().err == (
        "fleet: GEMINI_API_KEY is not set; put it into the environment or into .env.\n"
    )


def test_each_worker_offers_its_metrics_at_a_port_of_its_own() -> None:
    settings = _metrics("127.0.0.1:9464", 3)
    assert [settings(number) for number in (1, 2, 3)] == [
        {"METRICS_ADDRESS": "127.0.0.1:9464"},
        {"METRICS_ADDRESS": "127.0.0.1:9465"},
        {"METRICS_ADDRESS": "127.0.0.1:9466"},
    ]


def test_the_address_may_be_one_of_ipv6() -> None:
    assert _metrics("[::1]:9464", 2)(2) == {"METRICS_ADDRESS": "[::1]:9465"}


def test_without_metrics_nothing_is_set() -> None:
    assert _metrics(None, 3)(1) == {}


def test_more_workers_than_ports_are_told() -> None:
    with pytest.raises(SettingsError, match="use a port up to 65533"):
        _metrics("127.0.0.1:65534", 3)
