"""Every scenario turns red when what it guards is broken: real runs of sabotaged workers."""

from __future__ import annotations

from dataclasses import replace

from chaos.invariants.verdict import Verdict
from tests.chaos.video import specs
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios import (
    checkpoint,
    concurrency,
    retry_config,
    server_restart,
    worker_crash,
)
from tests.integration.breaks.breaking import Break

ONE_WORKER = concurrency.SCENARIO.cases[0]
RETRY = replace(retry_config.SCENARIO.cases[0], converge_deadline_seconds=60)
SERVER_KILL = server_restart.SCENARIO.cases[0]
CONTROL = next(case for case in server_restart.SCENARIO.cases if case.must_fail)
CRASH = worker_crash.SCENARIO.cases[0]
SERIES = checkpoint.SCENARIO.cases[0]


async def _nothing_is_killed(lab: VideoLab) -> None:
    await lab.worker()
    await lab.start(specs.single("crash-single"))


async def _one_after_the_other(lab: VideoLab) -> None:
    await lab.worker()
    for number in range(1, 3):
        await lab.start(specs.single(f"load-{number:03}"))
        await lab.converge(30)


BREAKS = (
    Break("pays_again_after_a_crash", SERIES, "billed_at_most_expected"),
    Break("never_retries", SERIES, "workflows_end_as_expected"),
    Break("retries_sooner", RETRY, "policy_is_as_required"),
    Break("retries_sooner", RETRY, "retries_are_spaced[retry-recovers]"),
    Break("fails_quietly", RETRY, "workflows_end_as_expected"),
    Break("pays_twice", ONE_WORKER, "billed_at_most_expected"),
    Break("pays_twice", ONE_WORKER, "every_bill_is_on_record"),
    Break("hides_a_cost", ONE_WORKER, "cost_matches_bills"),
    Break("hides_possible_waste", CRASH, "cost_matches_bills"),
    Break("forgets_what_was_bought", CRASH, "every_bill_is_on_record"),
    Break("forgets_a_checkpoint", ONE_WORKER, "checkpoints_are_complete_and_in_order"),
    Break("shares_files", ONE_WORKER, "artifacts_exist_with_their_hash"),
    Break("mixes_up_characters", ONE_WORKER, "artifacts_are_their_own"),
    Break("decides_otherwise", ONE_WORKER, "histories_replay"),
    Break("logs_the_key", ONE_WORKER, "no_secret_is_kept"),
    Break("goes_back", SERVER_KILL, "progress_never_goes_back"),
    Break(
        "the server forgets",
        replace(SERVER_KILL, stack=CONTROL.stack),
        "workflows_end_as_expected",
        sabotage=False,
    ),
    Break(
        "the control keeps its data",
        replace(CONTROL, stack=SERVER_KILL.stack),
        "control[workflows_end_as_expected]",
        sabotage=False,
    ),
    Break(
        "nothing is killed",
        replace(CRASH, experiment=_nothing_is_killed),
        "killed_during_request[worker-1]",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
    Break(
        "one after the other",
        replace(ONE_WORKER, experiment=_one_after_the_other),
        "all_were_open_at_once",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
)
