"""The scenarios of stopped, sleeping and dying workers turn red when what they guard is broken."""

from __future__ import annotations

import signal
from dataclasses import replace

from chaos.experiment.scenario import Case
from chaos.guide.deploys import versions_of
from chaos.invariants.deploys import no_version_is_removed_early
from chaos.invariants.proofs.deploys import stayed_on
from chaos.invariants.survival import workflows_end_as_expected
from chaos.invariants.verdict import Verdict
from tests.chaos.video import specs
from tests.chaos.video.case import mocked_case
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios import out_of_memory, worker_stop
from tests.chaos.video.target import VIDEO
from tests.integration.breaks.breaking import Break, case_of


async def _has_memory_enough(lab: VideoLab) -> None:
    (spec,) = out_of_memory.SCENARIO.cases[0].load(lab.options)
    await lab.supervisor(1)
    await lab.start(spec)


STOP, NAP, LONG_SLEEP, GRACE, NO_GRACE = worker_stop.SCENARIO.cases
LOOP = case_of("fleet", "crash_loop")
DOWNLOAD, IMAGE = out_of_memory.SCENARIO.cases


def _unpatched(case: Case) -> Case:
    """The case, in which the next release has its change not behind `patched`."""
    if VERSIONS.broken is None:
        raise LookupError("the video system names no broken version.")
    versions = replace(VERSIONS, new=VERSIONS.broken, broken=None)
    return replace(case, target=replace(VIDEO, versions=versions))


VERSIONS = versions_of(VIDEO)
_LEFT = specs.single("left-behind")


async def _removed_early(lab: VideoLab) -> None:
    """The old version's only worker is stopped while a single is pinned to it."""
    video = await lab.set_breakpoint(BreakAt.VIDEO)
    old = await lab.worker(version="old", versioned=True)
    await lab.set_current("old")
    await lab.start(_LEFT)
    await lab.until_polled(_LEFT.video_prompts[0])
    await lab.worker(version="new", versioned=True)
    await lab.set_current("new")
    await lab.signal(old.child, signal.SIGTERM)
    await video.resume()


REMOVED = mocked_case(
    name="removed_early",
    experiment=_removed_early,
    load=lambda _: (_LEFT,),
    invariants=(workflows_end_as_expected, no_version_is_removed_early(VERSIONS)),
    proofs=(stayed_on(VERSIONS, "old"),),
    converge_deadline_seconds=10,
)

BREAKS = (
    Break("clings_to_its_wait", STOP, "wait_is_handed_on[stop-single]"),
    Break("drops_what_it_does_when_it_stops", GRACE, "nothing_is_repeated[deploy-in-peace]"),
    Break("takes_back_what_it_pays_for_when_it_stops", NO_GRACE, "every_bill_is_on_record"),
    Break("takes_back_what_it_pays_for_when_it_stops", NO_GRACE, "cost_matches_bills"),
    Break("the release is unpatched", _unpatched(GRACE), "no_workflow_task_fails", sabotage=False),
    Break("a version is removed early", REMOVED, "no_version_is_removed_early", sabotage=False),
    Break("a version is removed early", REMOVED, "workflows_end_as_expected", sabotage=False),
    Break("takes_a_nap_for_death", NAP, "nothing_is_repeated[nap-single]"),
    Break("sends_again_when_it_wakes", LONG_SLEEP, "sends_nothing_paid_when_it_resumes[worker-1]"),
    Break("gives_up_with_its_worker", LOOP, "workflows_end_as_expected"),
    Break("makes_it_anew_after_a_lost_download", DOWNLOAD, "billed_at_most_expected"),
    Break("hides_possible_waste", IMAGE, "cost_matches_bills"),
    Break(
        "it has memory enough",
        replace(DOWNLOAD, experiment=_has_memory_enough),
        "died_out_of_memory[download]",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
)
