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

MODULE = "tests.integration.breaks.sabotage_api"


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
    Break("never_gives_up", SLOW, "given_up_at_its_deadline[never-ending-video]", module=MODULE),
    Break(
        "pays_again_after_the_deadline",
        SLOW,
        "given_up_at_its_deadline[never-ending-video]",
        module=MODULE,
    ),
    Break("pays_again_after_the_deadline", SLOW, "billed_at_most_expected", module=MODULE),
    Break("ignores_every_wish", SLOW, "retries_wait[long-wish]", module=MODULE),
    Break("obeys_every_wish", SLOW, "retries_wait[short-wish]", module=MODULE),
    Break("trusts_in_what_it_does_not_know", TRANSIENT, "every_bill_is_on_record", module=MODULE),
    Break("trusts_in_what_it_does_not_know", TRANSIENT, "cost_matches_bills", module=MODULE),
    Break(
        "tries_the_hopeless_again",
        FINAL,
        "resumed_from_its_checkpoint[api-filtered-image]",
        module=MODULE,
    ),
    Break(
        "keeps_what_was_never_delivered",
        FINAL,
        "undelivered_costs_nothing[api-failed-operation]",
        module=MODULE,
    ),
    Break(
        "fails_by_an_outage",
        OUTAGE,
        "outlasts_its_outage[outage-at-image]",
        module=MODULE,
    ),
    Break(
        "sends_the_key_along",
        REPORTED,
        "key_stays_at_its_host[reported-redirected]",
        module=MODULE,
    ),
    Break("keeps_the_draft", REPORTED, "artifacts_are_their_own", module=MODULE),
    Break(
        "buys_again_unasked",
        REPORTED,
        "bought_again_by_decision[reported-expired]",
        module=MODULE,
    ),
    Break(
        "hides_the_key_s_name",
        REVOKED,
        "resumed_from_its_checkpoint[revoked-at-poll]",
        module=MODULE,
    ),
    Break(
        "forgets_what_was_bought",
        REVOKED,
        "resumed_from_its_checkpoint[revoked-series]",
        module=MODULE,
    ),
    Break("forbids_to_reword", PERMANENT, "workflows_end_as_expected", module=MODULE),
    Break(
        "crashes_on_wrong_settings",
        PERMANENT,
        "refused_to_start[worker-1]",
        Verdict.UNKNOWN,
        module=MODULE,
    ),
    Break("lets_one_failure_spoil_the_rest", POISONED, "no_interference", module=MODULE),
    Break(
        "nothing fails",
        replace(TRANSIENT, experiment=_no_fault),
        "api_answered[api-500: image status 500]",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
)
