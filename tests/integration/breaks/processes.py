"""The scenarios of stopped, sleeping and dying workers turn red when what they guard is broken."""

from __future__ import annotations

from dataclasses import replace

from chaos.experiment.scenario import Case, Scenario
from chaos.invariants.verdict import Verdict
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios import fleet, out_of_memory, worker_stop
from tests.integration.breaks.breaking import Break

SABOTAGE = "tests.integration.breaks.sabotage_process"


def _broken(name: str, case: Case, check: str) -> Break:
    return Break(name, case, check, module=SABOTAGE)


async def _has_memory_enough(lab: VideoLab) -> None:
    (spec,) = out_of_memory.SCENARIO.cases[0].load(lab.options)
    await lab.supervisor(1)
    await lab.start(spec)


def _case(scenario: Scenario, name: str) -> Case:
    return next(case for case in scenario.cases if case.name == name)


STOP, NAP, LONG_SLEEP = worker_stop.SCENARIO.cases
LOOP = _case(fleet.SCENARIO, "crash_loop")
DOWNLOAD, IMAGE = out_of_memory.SCENARIO.cases

BREAKS = (
    _broken("clings_to_its_wait", STOP, "wait_is_handed_on[stop-single]"),
    _broken("takes_a_nap_for_death", NAP, "nothing_is_repeated[nap-single]"),
    _broken("sends_again_when_it_wakes", LONG_SLEEP, "sends_nothing_paid_when_it_wakes[worker-1]"),
    _broken("gives_up_with_its_worker", LOOP, "workflows_end_as_expected"),
    _broken("makes_it_anew_after_a_lost_download", DOWNLOAD, "billed_at_most_expected"),
    Break("hides_possible_waste", IMAGE, "cost_matches_bills"),
    Break(
        "it has memory enough",
        replace(DOWNLOAD, experiment=_has_memory_enough),
        "died_out_of_memory[download]",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
)
