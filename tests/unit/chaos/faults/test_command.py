"""A fault that is a command: what runs, what is on record of it, and what happens if it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from chaos.environment.factory import ProcessFactory
from chaos.environment.target import Placement, Target
from chaos.evidence.journal import Entry, Event, Journal, read_journal
from chaos.faults import AnyFault, CommandFault, Fault
from chaos.faults.command import CommandError
from chaos.process import foreign
from chaos.process.foreign import MOST_BYTES
from chaos.process.waiting import wait_until
from chaos.search.schedule import (
    FILE,
    Planned,
    PlannedStart,
    Schedule,
    ScheduleError,
    read_schedule,
    require_no_commands,
)
from chaos.search.seeded import seeded_of

SECRET = "hunter2-hunter2"
TARGET = Target(worker=(), task_queue="orders", passed=("SHOP_TOKEN", "SHOP_HOME"))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """All of a lab that a command uses, on a cluster of others."""
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    monkeypatch.setenv("SHOP_HOME", "/home/shop")
    monkeypatch.setenv("NOT_PASSED", "private")
    journal = Journal(tmp_path / "case" / "journal.jsonl", lambda _: None)
    (tmp_path / "scratch").mkdir()
    factory = ProcessFactory("tag", tmp_path / "scratch", tmp_path / "case" / "logs", journal)
    stack = SimpleNamespace(
        placement=Placement(TARGET, factory, tmp_path / "case", tmp_path, "canary", tmp_path),
        temporal=SimpleNamespace(prefix="chaos-1-", namespace="shop", address="there:7233"),
        task_queue="orders",
        own_queue=lambda queue: f"chaos-1-{queue}",
        target=TARGET,
        secrets=["canary-canary"],
    )
    yield SimpleNamespace(stack=stack, journal=journal, folder=tmp_path)
    journal.close()


def _shell(script: str, **options: Any) -> CommandFault:
    return CommandFault(inject=("sh", "-c", script), name="shop", **options)


def _journal(lab: Any) -> list[Entry]:
    return list(read_journal(lab.folder / "case" / "journal.jsonl"))


def _log(lab: Any) -> str:
    return Path(lab.folder, "case", "logs", "shop.log").read_text()


async def test_what_runs_how_it_ends_and_what_it_says_is_on_record(lab: Any) -> None:
    fault = _shell("echo down", heal=("echo", "up again"), workers=("7@pod-1",))
    await fault.inject(lab)
    await fault.heal(lab)

    begun, ended, healed = _journal(lab)
    assert (begun.event, begun.kind, begun.target) == (Event.FAULT, "command", "shop")
    assert begun.identities == ("7@pod-1",)
    assert begun.text == "command at shop: sh -c 'echo down'"
    assert (ended.kind, ended.exit_code) == ("command_ended", 0)
    assert ended.text == "`sh -c 'echo down'` ended with code 0: down"
    assert healed.text == "`echo 'up again'` ended with code 0: up again"
    assert _log(lab) == "$ sh -c 'echo down'\ndown\n(0)\n$ echo 'up again'\nup again\n(0)\n"
    assert not list((lab.folder / "scratch").glob("*.out"))


async def test_placeholders_stand_for_the_runs_own_and_other_braces_stay(lab: Any) -> None:
    words = ("{prefix}order-1", "{task_queue}", "{namespace}", "{address}", "{.items[0].name}")
    await CommandFault(inject=("echo", *words), name="shop").inject(lab)

    said = "chaos-1-order-1 chaos-1-orders shop there:7233 {.items[0].name}"
    assert said in _log(lab)


async def test_it_has_the_variables_that_the_target_passes_and_no_others(lab: Any) -> None:
    await _shell("echo $SHOP_HOME,$NOT_PASSED,; pwd").inject(lab)

    assert f"\n/home/shop,,\n{lab.folder}\n" in _log(lab)


async def test_a_secret_is_in_no_file(lab: Any) -> None:
    fault = _shell(f"echo $SHOP_TOKEN canary-canary {SECRET}; exit 1")
    with pytest.raises(CommandError) as caught:
        await fault.inject(lab)

    files = [file.read_text() for file in (lab.folder / "case").rglob("*") if file.is_file()]
    assert len(files) == 2
    for text in (*files, str(caught.value)):
        assert SECRET not in text
        assert "canary-canary" not in text
        assert "[secret]" in text


async def test_a_secret_with_a_quote_is_in_no_file(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "it's-a-secret"
    monkeypatch.setenv("SHOP_TOKEN", secret)
    await CommandFault(inject=("true", f"--token={secret}"), name="shop").inject(lab)

    for text in (_log(lab), *(entry.text for entry in _journal(lab) if entry.text)):
        assert "--token=[secret]" in text
        assert "s-a-secret" not in text


async def test_no_rest_of_a_secret_is_left_where_output_is_cut(lab: Any) -> None:
    """The cut is within a secret: hardly anything else is written."""
    word = len(SECRET) + len("---")
    length = word * (MOST_BYTES // word + 1)
    assert 0 < (length - MOST_BYTES) % word < len("hunter")
    await _shell(f"yes $SHOP_TOKEN--- | tr -d '\\n' | head -c {length}").inject(lab)

    output = _log(lab).splitlines()[1]
    assert "[secret]" in output
    assert "hunter" not in output


async def test_what_writes_without_end_is_ended_before_it_fills_the_disk(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "MOST_WRITTEN_BYTES", 1024 * 1024)
    with pytest.raises(CommandError, match="was ended, for it wrote more than 1 MB: yes-611"):
        await CommandFault(inject=("yes", "yes-611"), name="shop").inject(lab)

    assert not _runs("yes", "yes-611")
    assert not list((lab.folder / "scratch").glob("*.out"))


@pytest.mark.parametrize(
    ("argv", "how"),
    [
        (("sh", "-c", "echo one; echo no such pod >&2; exit 3"), "ended with code 3: no such pod"),
        (("no-such-program",), "could not be started (No such file or directory: no-such-program)"),
        (("echo", "a\0b"), "could not be started (embedded null byte)"),
        (("sh", "-c", "echo begun; sleep 60"), "did not end within 0.3 s: begun"),
    ],
)
async def test_one_that_fails_is_one_sentence(lab: Any, argv: tuple[str, ...], how: str) -> None:
    with pytest.raises(CommandError) as caught:
        await CommandFault(inject=argv, name="shop", deadline_seconds=0.3).inject(lab)

    assert str(caught.value).startswith("shop could not be injected: `")
    assert how in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_what_does_not_end_is_killed_with_what_it_has_started(lab: Any) -> None:
    with pytest.raises(CommandError):
        await _shell("sleep 613 & wait", deadline_seconds=0.3).inject(lab)

    await wait_until(lambda: not _sleeps("613"), what="its end", deadline_seconds=10)


async def test_what_is_cancelled_ends_as_well(lab: Any) -> None:
    running = asyncio.create_task(_shell("sleep 614").inject(lab))
    await wait_until(lambda: _sleeps("614"), what="it runs", deadline_seconds=10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not _sleeps("614")


async def test_what_it_leaves_in_the_background_is_not_waited_for(lab: Any) -> None:
    await _shell("sleep 3 & echo left").inject(lab)

    assert "left" in _log(lab)


def _sleeps(seconds: str) -> bool:
    return _runs("sleep", seconds)


def _runs(*argv: str) -> bool:
    lines = [each.info["cmdline"] for each in psutil.process_iter(["cmdline"])]
    return [*argv] in lines


async def test_the_proof_is_asked_until_it_succeeds(lab: Any) -> None:
    asked = lab.folder / "asked"
    proof = ("sh", "-c", f"echo x >> {asked}; test $(wc -l < {asked}) -ge 3 && echo gone")
    await _shell("true", proof=proof).inject(lab)

    (shown,) = [entry for entry in _journal(lab) if entry.kind == "command_proof"]
    assert shown.exit_code == 0
    assert shown.text.endswith("` ended with code 0: gone")


async def test_a_proof_that_never_succeeds_is_on_record_and_ends_nothing(lab: Any) -> None:
    await _shell("true", proof=("false",), deadline_seconds=0.3).inject(lab)

    (shown,) = [entry for entry in _journal(lab) if entry.kind == "command_proof"]
    assert shown.exit_code == 1


async def test_what_cannot_be_healed_says_what_to_run_by_hand(
    lab: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    fault = _shell("true", heal=("sh", "-c", "exit 4"))
    with pytest.raises(CommandError, match=r"shop could not be healed: .* ended with code 4"):
        await fault.heal(lab)

    assert "It is still in force: run `sh -c 'exit 4'` by hand." in capfd.readouterr().err


async def test_without_a_command_that_heals_nothing_runs(lab: Any) -> None:
    await _shell("true").heal(lab)

    assert _journal(lab) == []


def test_a_text_is_no_list_of_arguments() -> None:
    with pytest.raises(ValidationError, match="write a list of arguments"):
        CommandFault(inject="kubectl delete pod x")


def test_it_is_called_by_its_program_unless_it_has_a_name() -> None:
    assert CommandFault(inject=("/usr/bin/kubectl", "get")).target == "kubectl"


def _scheduled(fault: AnyFault) -> Schedule:
    return Schedule(
        seed=1,
        families=("command",),
        duration_seconds=5,
        workers=1,
        starts=(PlannedStart(workflow_id="order-1", spec="order", at_seconds=0),),
        faults=(Planned(at_seconds=1, lasting_seconds=1, fault=fault),),
    )


def test_it_is_read_back_from_a_schedule_and_its_file_executes_nothing(tmp_path: Path) -> None:
    fault: Fault = CommandFault(inject=("touch", str(tmp_path / "done")), heal=("true",))
    _scheduled(fault).write(tmp_path)

    read = read_schedule(tmp_path / FILE)
    assert read.faults[0].fault == fault
    with pytest.raises(ScheduleError, match=r"seed_1 would execute `touch .*executes no commands"):
        require_no_commands([read])
    with pytest.raises(ScheduleError, match="executes no commands"):
        seeded_of(tmp_path / FILE, TARGET)
    assert not (tmp_path / "done").exists()
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
