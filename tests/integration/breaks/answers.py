"""The scenarios of a failing API turn red when what they guard is broken: real, sabotaged runs."""

from __future__ import annotations

from dataclasses import replace

from chaos.experiment.scenario import Case
from chaos.invariants.verdict import Verdict
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios import (
    api_errors,
    api_slow,
    key_revoked,
    no_interference,
    permanent_failures,
)
from tests.integration.breaks.breaking import Break


def _hastily(case: Case) -> Case:
    """A case that waits for what will not come for no longer than it must."""
    return replace(case, converge_deadline_seconds=60)


SLOW, OUTAGE = (_hastily(case) for case in api_slow.SCENARIO.cases)
TRANSIENT, FINAL, REPORTED = (_hastily(case) for case in api_errors.SCENARIO.cases)
REVOKED = _hastily(key_revoked.SCENARIO.cases[0])
PERMANENT = _hastily(permanent_failures.SCENARIO.cases[0])
POISONED = _hastily(no_interference.SCENARIO.cases[0])


async def _no_fault(lab: VideoLab) -> None:
    await lab.worker()
    for spec in TRANSIENT.load(lab.options):
        await lab.start(spec)


BREAKS = (
    Break("never_gives_up", SLOW, "given_up_at_its_deadline[never-ending-video]"),
    Break("pays_again_after_the_deadline", SLOW, "given_up_at_its_deadline[never-ending-video]"),
    Break("pays_again_after_the_deadline", SLOW, "billed_at_most_expected"),
    Break("ignores_every_wish", SLOW, "retries_wait[long-wish]"),
    Break("obeys_every_wish", SLOW, "retries_wait[short-wish]"),
    Break("trusts_in_what_it_does_not_know", TRANSIENT, "every_bill_is_on_record"),
    Break("trusts_in_what_it_does_not_know", TRANSIENT, "cost_matches_bills"),
    Break("tries_the_hopeless_again", FINAL, "resumed_from_its_checkpoint[api-filtered-image]"),
    Break(
        "keeps_what_was_never_delivered", FINAL, "undelivered_costs_nothing[api-failed-operation]"
    ),
    Break("fails_by_an_outage", OUTAGE, "outlasts_its_outage[outage-at-image]"),
    Break("sends_the_key_along", REPORTED, "key_stays_at_its_host[reported-redirected]"),
    Break("keeps_the_draft", REPORTED, "artifacts_are_their_own"),
    Break("buys_again_unasked", REPORTED, "bought_again_by_decision[reported-expired]"),
    Break("hides_the_key_s_name", REVOKED, "resumed_from_its_checkpoint[revoked-at-poll]"),
    Break("forgets_what_was_bought", REVOKED, "resumed_from_its_checkpoint[revoked-series]"),
    Break("forbids_to_reword", PERMANENT, "workflows_end_as_expected"),
    Break("crashes_on_wrong_settings", PERMANENT, "refused_to_start[worker-1]", Verdict.UNKNOWN),
    Break("lets_one_failure_spoil_the_rest", POISONED, "no_interference"),
    Break(
        "nothing fails",
        replace(TRANSIENT, experiment=_no_fault),
        "api_answered[api-500: image status 500]",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
)
