"""`--on` of explore, probe and run, up to where a server is needed; and `campaign`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.__main__ import main
from chaos.cli import INTERRUPTED, UNUSABLE, campaign_report
from chaos.cli.on import carry_out, seeds
from chaos.search.campaign.client import Control
from chaos.search.campaign.model import Campaign, Scenarios

ON = ("--on", "127.0.0.1:1", "--evidence", "nowhere")
VIDEO = "tests.chaos.video.target:VIDEO"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["explore", "--evidence", "x"], "--evidence is for a campaign: add --on"),
        (["explore", "--times", "3"], "--times is for a campaign"),
        (["explore", "--on", "h:1"], "--on needs --evidence"),
        (["explore", "--fresh", *ON], "--fresh means nothing with --on"),
        (["explore", "--lanes", "3", *ON], "--lanes means nothing with --on"),
        (["explore", "--workflow", "none", *ON], "must be one of the target's specs"),
        (["probe", "--keep", "all", "--worker", "x"], "--keep is for a campaign"),
        (["probe", "--worker", "x", *ON], "a campaign carries no commands"),
        (["probe", "--spec", "single", *ON], "--on needs --target MODULE:NAME"),
        (["probe", "--target", VIDEO, "--spec", "no", *ON], "--spec must be one of the target's"),
        (["probe", "--target", VIDEO, *ON], "--target needs --spec NAME, one of"),
        (["run", "--minutes", "3"], "--minutes is for a campaign"),
        (["run", "-k", "a", *ON], "-k means nothing with --on"),
        (["run", "--replay=x", *ON], "--replay=x means nothing with --on"),
        (["run", "nope", *ON], "there is no scenario 'nope'"),
        (["run", "--faults", "kill", *ON], "--faults needs --seed"),
        (["run", "worker_crash", "--seed", "1", *ON], "--seed is instead of scenarios"),
        (["run", "--seed", "5-", *ON], "--seed 5- is endless: add --minutes N"),
        (["run", "--seed", "5", "--faults", "nope", *ON], "the target has no faults 'nope'"),
        (["explore", *ON], "cannot connect to Temporal at 127.0.0.1:1"),
        (["campaign", "list", "--on", "127.0.0.1:1"], "check --on"),
        (["campaign", "list", "--on", ""], "--on is empty; give HOST:PORT"),
        (["campaign", "list", "--on", ":7233"], "is no address of a Temporal"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_cannot_be_a_campaign_is_a_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == UNUSABLE

    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.splitlines()) == 1


def test_a_target_that_no_worker_serves_is_refused_before_it_waits_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.chaos]\ntargets = ["two_shops:SHOP"]\n')
    (tmp_path / "two_shops.py").write_text(
        "from chaos import Target, WorkflowSpec\n"
        "SPECS = {'order': lambda name: WorkflowSpec(workflow_id=name, workflow_type='Order')}\n"
        "SHOP = OTHER = Target(worker=('true',), task_queue='orders', specs=SPECS)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    assert main(["explore", "--target", "two_shops:OTHER", *ON]) == UNUSABLE
    assert "no worker serves the target 'two_shops:OTHER'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "first", "last"), [("7", 7, 7), ("1-5000", 1, 5000), ("3-", 3, None)]
)
def test_seeds_of_a_campaign_may_have_no_end(text: str, first: int, last: int | None) -> None:
    assert seeds(text) == (first, last)


@pytest.mark.parametrize("text", ["", "-", "-3", "3-1", "a", "1-2-3", "1--2"])
def test_what_are_no_seeds_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", f"--seed={text}", *ON])

    assert ended.value.code == UNUSABLE
    assert "must be a seed such as 7" in capsys.readouterr().err


def test_a_target_whose_workers_are_there_already_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there_already.py").write_text(
        "from chaos import Target\nTHERE = Target(worker=(), task_queue='q', specs={'a': {}})\n"
    )
    (tmp_path / "pyproject.toml").write_text('[tool.chaos]\ntargets = ["there_already:THERE"]\n')
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    assert main(["explore", *ON]) == UNUSABLE
    assert "its workers are there already" in capsys.readouterr().err


def test_the_help_of_a_campaign_is_there_at_once() -> None:
    code = (
        "import sys\nfrom contextlib import suppress\nfrom chaos.__main__ import main\n"
        "with suppress(SystemExit): main(['campaign', 'budget', '--help'])\n"
        "print(sorted({'temporalio', 'pydantic', 'psutil', 'fsspec'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert "MINUTES" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "[]"


class _Ended:
    """A control cluster on which each campaign ends at once."""

    async def start(self, make: Callable[[str], Campaign], store: object) -> Campaign:
        del store
        return make("campaign-1")

    async def follow(self, campaign: Campaign, line: object) -> None: ...


def test_ctrl_c_while_the_report_is_written_does_not_say_that_the_campaign_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async def connect(address: str) -> _Ended:
        del address
        return _Ended()

    def write(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Control, "connect", connect)
    monkeypatch.setattr(campaign_report, "write", write)
    given = argparse.Namespace(
        on="h:1", evidence=str(tmp_path), queue=None, keep=None, minutes=None, reports=tmp_path
    )

    assert carry_out(given, Scenarios()) == INTERRUPTED

    said = capsys.readouterr()
    assert "campaign-1 began" in said.out + said.err
    assert "goes on" not in said.err
