"""The scenarios of a server's and a disk's faults turn red when what they guard is broken."""

from __future__ import annotations

import sys
from dataclasses import replace

from chaos.invariants.verdict import Verdict
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios import disk_full, server_pause
from tests.integration.breaks.breaking import SABOTAGE, Break, case_of


def _argv(name: str) -> tuple[str, ...]:
    """The disk's worker is started within its namespace, so the case has to be told."""
    return (sys.executable, "-m", SABOTAGE, name)


def _on_artifacts(name: str, check: str) -> Break:
    experiment = disk_full.artifacts(_argv(name))
    return Break(name, replace(ARTIFACTS, experiment=experiment), check, sabotage=False)


def _on_journal(name: str, check: str) -> Break:
    experiment = disk_full.payment_journal(_argv(name))
    return Break(name, replace(JOURNAL, experiment=experiment), check, sabotage=False)


async def _is_never_paused(lab: VideoLab) -> None:
    (spec,) = PAUSE.load(lab.options)
    await lab.worker()
    await lab.start(spec)


async def _has_room(lab: VideoLab) -> None:
    await lab.worker()
    for spec in SERVER.load(lab.options):
        await lab.start(spec)


async def _held_until_tried_again(lab: VideoLab) -> None:
    """A server takes the result of an attempt that it counts as lost until the next one begins."""
    held = await server_pause.held_through_an_outage(lab)
    waiting = UNDER_LOAD.load(lab.options)[-1].workflow_id
    await lab.until_failed(waiting, "await_video", attempts=1)
    await lab.until_in_flight(waiting, "await_video")
    for moment in held:
        await moment.resume()


PAUSE, _, UNDER_LOAD = server_pause.SCENARIO.cases
ARTIFACTS, JOURNAL, SERVER = disk_full.SCENARIO.cases
GONE = case_of("database_damage", "gone")
NO_BACKUP = case_of("database_damage", "control_without_a_backup")
OLD_WORKER = case_of("database_damage", "control_with_the_old_worker")

BREAKS = (
    _on_artifacts("pays_on_a_full_disk", "nothing_is_asked_for_while_full[full-refused]"),
    _on_artifacts("drops_what_finds_no_room", "workflows_end_as_expected"),
    _on_journal("takes_a_full_disk_for_lasting", "workflows_end_as_expected"),
    Break("keeps_a_journal_of_its_own", GONE, "billed_at_most_expected"),
    Break("keeps_a_journal_of_its_own", GONE, "nothing_is_asked_for_after_the_damage"),
    Break(
        "takes_an_outage_for_death",
        replace(UNDER_LOAD, experiment=_held_until_tried_again),
        "billed_at_most_expected",
    ),
    Break("pays_twice", UNDER_LOAD, "billed_at_most_expected"),
    Break(
        "it is never paused",
        replace(PAUSE, experiment=_is_never_paused),
        "was_paused[temporal-server]",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
    Break(
        "the server has room",
        replace(SERVER, experiment=_has_room),
        "disk_was_full[temporal-server]",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
    Break(
        "nothing is restored",
        replace(GONE, experiment=NO_BACKUP.experiment),
        "workflows_end_as_expected",
        sabotage=False,
    ),
    Break(
        "the old worker goes on",
        replace(GONE, experiment=OLD_WORKER.experiment),
        "histories_replay",
        sabotage=False,
    ),
)
