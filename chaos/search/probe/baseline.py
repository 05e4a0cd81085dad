"""What is normal: what two undisturbed runs show, and in what they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.evidence.history import Status
from chaos.search.probe.differences import Place, differing, unmasked
from chaos.search.probe.observed import Observed, Sent
from chaos.wire.boundary import Boundary


class NoBaselineError(Exception):
    """The undisturbed runs show nothing to compare with. One sentence: why, and what to do."""


@dataclass(frozen=True)
class Baseline:
    """`masks` are the places at which undisturbed results differ; `runs`, `times` and `things` are
    the most that any of them had.
    """

    statuses: frozenset[Status]
    outcome: Any
    masks: frozenset[Place]
    has_result: bool
    seconds: float
    runs: Mapping[str, int]
    times: Mapping[str, int]
    things: Mapping[str, int]
    calls_during: frozenset[str]
    failed_tasks: int
    boundaries: Sequence[Boundary]

    @classmethod
    def of(cls, runs: Sequence[Observed]) -> Baseline:
        """Of undisturbed runs, two as a rule. Raises NoBaselineError."""
        for run in runs:
            _require_an_end(run)
        first, *others = runs
        same = {each.status for each in runs} == {first.status}
        masks = {place for other in others for place in differing(first.outcome, other.outcome)}
        return cls(
            statuses=frozenset(each.status for each in runs),
            outcome=first.outcome,
            masks=frozenset(masks if same else {()}),
            has_result=all(each.has_result for each in runs),
            seconds=max(each.seconds for each in runs),
            runs=_most([each.runs for each in runs]),
            times=_most([{sent.call: sent.times for sent in each.sent} for each in runs]),
            things=_most([{s.call: s.things or 0 for s in each.sent} for each in runs]),
            calls_during=frozenset().union(*(each.calls_during for each in runs)),
            failed_tasks=max(len(each.failed_tasks) for each in runs),
            # Only what all of them came to can be expected of the next one.
            boundaries=[
                b for b in first.boundaries if all(b in each.boundaries for each in others)
            ],
        )

    def differences(self, run: Observed) -> Sequence[Place]:
        """Where its result is not that of any undisturbed run."""
        return unmasked(differing(self.outcome, run.outcome), self.masks)

    def repeated(self, run: Observed) -> Iterator[tuple[Sent, bool]]:
        """What it asked of services more often than is normal, and whether they can tell that it is
        nothing new.
        """
        for each in run.sent:
            if each.times > self.times.get(each.call, 0):
                can_tell = each.things is None or each.things <= self.things.get(each.call, 0)
                yield each, can_tell

    def ran_again(self, run: Observed) -> Iterator[tuple[str, int]]:
        """The activities that ran more often than is normal, and how often."""
        for name, times in run.runs.items():
            if times > max(1, self.runs.get(name, 0)):
                yield name, times


def _require_an_end(run: Observed) -> None:
    if run.status in {Status.RUNNING, Status.LOST}:
        raise NoBaselineError(
            f"the undisturbed run {run.workflow_id} did not end, so there is nothing to compare "
            "with: probe a workflow that ends by itself, and see that its worker takes all of its "
            "tasks."
        )


def _most(counts: Sequence[Mapping[str, int]]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        for name, number in each.items():
            found[name] = max(number, found.get(name, 0))
    return found
