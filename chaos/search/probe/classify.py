"""From the evidence of a disturbed run to its fate: a pure function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.search.probe.baseline import Baseline, Place, told
from chaos.search.probe.observed import Observed
from chaos.search.probe.record import Fate, Finding, worst_first
from chaos.search.probe.waiting import shortest, waits
from chaos.wire.repeats import Harm, Repeat

_NON_DETERMINISTIC = "NonDeterministic"
_MOST_PLACES = 5

_MEANING = {
    Harm.TWICE: Fate.DONE_TWICE,
    # Of a lane's worker all calls are those of its one workflow.
    Harm.PERHAPS: Fate.DONE_TWICE,
    Harm.TELLS: Fate.SENT_AGAIN,
    Harm.NONE: Fate.SENT_AGAIN,
}
_CANNOT_TELL = (
    "the same body without one idempotency key, so the service cannot detect the repetition"
)
_WORDS = {
    Harm.TWICE: _CANNOT_TELL,
    Harm.PERHAPS: _CANNOT_TELL,
    Harm.TELLS: "so the service can detect the repetition",
    Harm.NONE: "which changes nothing",
}


@dataclass(frozen=True)
class Disturbed:
    """A run that was disturbed at `hit_at`. `not_hit` says why that is not proven; then `hit_at` is
    the start of the run.
    """

    evidence: Evidence
    observed: Observed
    hit_at: datetime
    patience_seconds: float
    not_hit: str = ""

    @property
    def workflow(self) -> Workflow | None:
        """None if it is lost."""
        return self.evidence.workflows.get(self.observed.workflow_id)


def classify(run: Disturbed, baseline: Baseline) -> Sequence[Finding]:
    """All findings, the worst first; at least one. A failure is certain, whether or not the
    disturbance is proven to have caused it. No failure means nothing without that proof.
    """
    found = [*_ends(run, baseline), *_twice(run.observed, baseline)]
    if run.not_hit:
        found = [each for each in found if each.fate is not Fate.STUCK]
        found.append(Finding(fate=Fate.UNKNOWN, text=run.not_hit))
    return worst_first(found) or [Finding(fate=Fate.SURVIVED, text="it ended as undisturbed")]


def _ends(run: Disturbed, baseline: Baseline) -> Iterator[Finding]:
    workflow, observed = run.workflow, run.observed
    if workflow is None:
        yield Finding(fate=Fate.LOST, text="the server knows no such workflow any more")
        return
    yield from _tasks(observed, baseline)
    if observed.status is Status.RUNNING:
        yield _stuck(run, workflow, baseline)
    elif observed.status not in baseline.statuses:
        yield _other_end(workflow, observed, baseline)
    elif observed.status is Status.COMPLETED and baseline.has_result and not observed.has_result:
        yield Finding(fate=Fate.LOST, text="it completed, and its result is gone")
    elif places := baseline.differences(observed):
        yield Finding(fate=Fate.OTHER_RESULT, text=_different(workflow, places))
    else:
        yield from _gone_on_without(observed, baseline)


def _gone_on_without(observed: Observed, baseline: Baseline) -> Iterator[Finding]:
    for name in baseline.gave_up(observed):
        text = (
            f"{name} failed or timed out and was not retried, which does not happen undisturbed; "
            "yet the workflow ended as if it had been done"
        )
        yield Finding(fate=Fate.LOST, text=text)


def _different(workflow: Workflow, places: Sequence[Place]) -> str:
    """The places where a result differs, but not the values."""
    if workflow.status is not Status.COMPLETED:
        return f"it is {workflow.status}, unlike the undisturbed runs: {workflow.failure_told}"
    more = f" and {len(places) - _MOST_PLACES} more" if len(places) > _MOST_PLACES else ""
    where = ", ".join(map(told, places[:_MOST_PLACES]))
    return f"its result is not that of the undisturbed runs: {where}{more}"


def _tasks(observed: Observed, baseline: Baseline) -> Iterator[Finding]:
    """Its workflow tasks that failed as they fail when a replay decides differently."""
    failed = [each for each in observed.failed_tasks if _NON_DETERMINISTIC in each.cause]
    if len(observed.failed_tasks) > baseline.failed_tasks and failed:
        yield Finding(fate=Fate.NOT_DETERMINISTIC, text=f"a workflow task failed: {failed[0]}")


def _other_end(workflow: Workflow, observed: Observed, baseline: Baseline) -> Finding:
    normal = " or ".join(sorted(baseline.statuses))
    why = f": {workflow.failure_told}" if workflow.failure_told else ""
    text = f"it is {observed.status}, undisturbed it is {normal}{why}"
    is_better = observed.status is Status.COMPLETED
    return Finding(fate=Fate.OTHER_RESULT if is_better else Fate.FAILED, text=text)


def _stuck(run: Disturbed, workflow: Workflow, baseline: Baseline) -> Finding:
    """Open at the end: because of itself, or of a busy machine."""
    found = waits(workflow, run.hit_at, run.evidence.descendants(workflow))
    first = shortest(found)
    text = "; ".join(wait.text for wait in found[:3]) or (
        "it is open, and what it waits for is unknown"
    )
    strain = run.evidence.strain
    is_sure = first is not None and (first.is_certain or workflow.failing is not None)
    if not is_sure and strain and strain.is_busy:
        return Finding(fate=Fate.UNKNOWN, text=f"{text}; the machine was too busy: {strain}")
    limit = f"not ended {run.patience_seconds:g} s after the disturbance: "
    longest = run.patience_seconds + baseline.seconds
    is_longer = first is not None and first.is_certain and first.seconds > longest
    return Finding(fate=Fate.STUCK, text=text if is_longer else f"{limit}{text}")


def _twice(observed: Observed, baseline: Baseline) -> Iterator[Finding]:
    for repeat in baseline.asked_again(observed):
        yield Finding(fate=_MEANING[repeat.harm], text=_told(repeat))
    for what, times in baseline.asked_more(observed):
        text = (
            f"{what} was sent {times} times, undisturbed {baseline.times[what]}, each time with a "
            "different body and without one idempotency key, so the service cannot detect the "
            "repetition"
        )
        yield Finding(fate=Fate.DONE_TWICE, text=text)
    for name, times in baseline.ran_again(observed):
        if name not in baseline.calling | observed.calling:
            text = f"{name} was started {times} times, and its effects could not be seen"
            yield Finding(fate=Fate.RAN_TWICE, text=text)


def _told(repeat: Repeat) -> str:
    """Without the times, which are in the timeline: a finding that comes again is reported once."""
    during = f" during {', '.join(repeat.during)}" if repeat.during else ""
    asked = f"{repeat.service} was asked {len(repeat.calls)} times for {repeat.method}{during}"
    return f"{asked}: {_WORDS[repeat.harm]}"
