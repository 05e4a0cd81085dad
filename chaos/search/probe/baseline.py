"""What is normal: two undisturbed runs, and where their results differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from chaos.evidence.history import Status
from chaos.search.probe.observed import Observed
from chaos.wire.repeats import Repeat

Place = tuple[str | int, ...]
"""The path of a value in a result; the empty path is the whole."""


class NoBaselineError(Exception):
    """The undisturbed runs give no baseline. One sentence: why, and what to do."""


class Baseline(BaseModel):
    """`outcome` is a result by the hashes of its values: it is compared, never shown. `masks` are
    the places at which undisturbed results differ; `runs`, `given_up`, `times` and `repeated` are
    the most that any of them had.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    statuses: frozenset[Status]
    outcome: Any
    masks: frozenset[Place]
    has_result: bool
    seconds: float
    runs: Mapping[str, int]
    given_up: Mapping[str, int]
    times: Mapping[str, int]
    repeated: Mapping[str, int]
    calling: frozenset[str]
    failed_tasks: int

    @classmethod
    def of(cls, runs: Sequence[Observed]) -> Baseline:
        """From undisturbed runs, usually two. Raises NoBaselineError."""
        for run in runs:
            _require_an_end(run)
        first, *others = runs
        same = {each.status for each in runs} == {first.status}
        masks = {place for other in others for place in differing(first.outcome, other.outcome)}
        return cls(
            statuses=frozenset(each.status for each in runs),
            outcome=hashed(first.outcome),
            masks=frozenset(masks if same else {()}),
            has_result=all(each.has_result for each in runs),
            seconds=max(each.seconds for each in runs),
            runs=_most([each.runs for each in runs]),
            given_up=_most([each.given_up for each in runs]),
            times=_most([each.times for each in runs]),
            repeated=_most([_repeated(each) for each in runs]),
            calling=frozenset().union(*(each.calling for each in runs)),
            failed_tasks=max(len(each.failed_tasks) for each in runs),
        )

    def differences(self, run: Observed) -> Sequence[Place]:
        """The places where its result differs from every undisturbed run."""
        return unmasked(differing(self.outcome, hashed(run.outcome)), self.masks)

    def asked_again(self, run: Observed) -> Iterator[Repeat]:
        """Its repeated requests to services, beyond those of the undisturbed runs."""
        for each in run.repeats:
            if len(each.calls) > self.repeated.get(_what(each), 1):
                yield each

    def asked_more(self, run: Observed) -> Iterator[tuple[str, int]]:
        """Requests that it sent more often than normal, but never the same one again."""
        known = {_what(each) for each in run.repeats}
        for what, times in run.times.items():
            if what not in known and times > self.times.get(what, times):
                yield what, times

    def gave_up(self, run: Observed) -> Iterator[str]:
        """The types of activities whose failure it ignored, and no undisturbed run did."""
        for name, number in run.given_up.items():
            if number > self.given_up.get(name, 0):
                yield name

    def ran_again(self, run: Observed) -> Iterator[tuple[str, int]]:
        """The activities that ran more often than is normal, and how often."""
        for name, times in run.runs.items():
            if times > max(1, self.runs.get(name, 0)):
                yield name, times


def _require_an_end(run: Observed) -> None:
    if run.status in {Status.RUNNING, Status.LOST}:
        why = f" ({run.waits_for})" if run.waits_for else ""
        raise NoBaselineError(
            f"{run.workflow_id} did not end, although nothing disturbed it{why}: probe a workflow "
            "that ends by itself within two minutes, and check that its worker polls all of its "
            "task queues."
        )


def _what(repeat: Repeat) -> str:
    return f"{repeat.service} {repeat.method}"


def _repeated(run: Observed) -> Mapping[str, int]:
    return _most([{_what(each): len(each.calls)} for each in run.repeats])


def _most(counts: Sequence[Mapping[str, int]]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        for name, number in each.items():
            found[name] = max(number, found.get(name, 0))
    return found


def differing(one: Any, other: Any, at: Place = ()) -> Iterator[Place]:
    """The places at which two values differ, each as deep as it can be told."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key in one and key in other:
                yield from differing(one[key], other[key], (*at, key))
            else:
                yield (*at, key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differing(left, right, (*at, number))
    elif type(one) is not type(other) or one != other:
        yield at


def hashed(value: Any) -> Any:
    """A value in which each that is neither a list nor an object is its hash. Two of them differ at
    the same places as the values do.
    """
    if isinstance(value, dict):
        return {key: hashed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [hashed(each) for each in value]
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def unmasked(places: Iterator[Place], masks: Collection[Place]) -> Sequence[Place]:
    """The places that no mask covers; a mask covers everything below its place."""
    return [place for place in places if not any(place[: len(mask)] == mask for mask in masks)]


def told(place: Place) -> str:
    """A place in the usual notation: `items[2].price`."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return words.removeprefix(".") or "everything"
