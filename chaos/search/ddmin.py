"""From a schedule that fails to a shorter one that still does, by delta debugging (ddmin).

First the faults, then the workflows: each time parts are left out, and what still fails is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from chaos.search.schedule import Schedule

T = TypeVar("T")

Try = Callable[[Sequence[Schedule]], Sequence[bool]]
"""Runs schedules, side by side, and says of each whether it fails as the first one did."""


@dataclass
class Shrinking:
    """One search. `tried` counts the schedules that were run, at most `most_runs`.

    What fails is run again, `confirmations` times, and kept only if it fails each time:
    which worker has a task in hand is chance, and so is a failure that hangs on it.
    """

    run: Try
    most_runs: int
    at_once: int
    confirmations: int = 2
    say: Callable[[str], None] = lambda _: None
    tried: int = 0
    _known: dict[str, bool] = field(default_factory=dict)

    def shrink(self, schedule: Schedule) -> Schedule:
        """The shortest that was found; the schedule itself where nothing shorter fails."""
        best = self._least(schedule, schedule.faults, _with_faults, least=0)
        best = self._least(best, best.starts, _with_starts, least=1)
        trimmed = trim(best)
        return trimmed if self._first_failing([trimmed]) == 0 else best

    def _least(
        self,
        schedule: Schedule,
        items: Sequence[T],
        with_items: Callable[[Schedule, Sequence[T]], Schedule],
        least: int,
    ) -> Schedule:
        """Ddmin over one kind of part."""
        items = tuple(items)
        best, pieces = schedule, 2
        if least == 0 and items and self._first_failing([trim(with_items(schedule, ()))]) == 0:
            return trim(with_items(schedule, ()))
        while len(items) > max(1, least) and self.tried < self.most_runs:
            subsets = [s for s in _subsets(items, pieces) if least <= len(s) < len(items)]
            candidates = [trim(with_items(schedule, subset)) for subset in subsets]
            found = self._first_failing(candidates)
            if found is not None:
                items, best, pieces = subsets[found], candidates[found], 2
                self.say(f"still fails with {len(best.faults)} fault(s), {len(best.starts)} load")
            elif pieces >= len(items):
                break
            else:
                pieces = min(len(items), 2 * pieces)
        return best

    def _first_failing(self, candidates: Sequence[Schedule]) -> int | None:
        """The first of them that fails, run by as many as may run at once; None: none does."""
        for start in range(0, len(candidates), self.at_once):
            batch = candidates[start : start + self.at_once]
            new = [each for each in batch if _key(each) not in self._known]
            new = new[: max(0, self.most_runs - self.tried)]
            self.tried += len(new)
            for each, fails in zip(new, self.run(new) if new else (), strict=True):
                self._known[_key(each)] = fails and self._fails_again(each)
            for offset, each in enumerate(batch):
                if self._known.get(_key(each)):
                    return start + offset
        return None

    def _fails_again(self, schedule: Schedule) -> bool:
        self.tried += self.confirmations
        return all(self.run([schedule] * self.confirmations)) if self.confirmations else True


def trim(schedule: Schedule) -> Schedule:
    """Without the time before its first workflow, and after its last event."""
    first = min(start.at_seconds for start in schedule.starts)
    starts = [s.model_copy(update={"at_seconds": s.at_seconds - first}) for s in schedule.starts]
    faults = [
        f.model_copy(update={"at_seconds": max(0.0, f.at_seconds - first)}) for f in schedule.faults
    ]
    last = max([s.at_seconds for s in starts] + [f.at_seconds for f in faults])
    longest = last + max((f.lasting_seconds for f in faults), default=0.0)
    return schedule.model_copy(
        update={
            "starts": tuple(starts),
            "faults": tuple(faults),
            "duration_seconds": min(schedule.duration_seconds, max(1.0, round(longest, 2))),
        }
    )


def _subsets(items: Sequence[T], pieces: int) -> Iterator[tuple[T, ...]]:
    """Each of so many pieces alone, then all but it."""
    size = -(-len(items) // pieces)
    cuts = [(start, start + size) for start in range(0, len(items), size)]
    yield from (tuple(items[start:end]) for start, end in cuts)
    if len(cuts) > 2:  # of two pieces each is the other's complement
        yield from ((*items[:start], *items[end:]) for start, end in cuts)


def _with_faults(schedule: Schedule, faults: Sequence[object]) -> Schedule:
    return schedule.model_copy(update={"faults": tuple(faults)})


def _with_starts(schedule: Schedule, starts: Sequence[object]) -> Schedule:
    return schedule.model_copy(update={"starts": tuple(starts)})


def _key(schedule: Schedule) -> str:
    return schedule.model_dump_json(by_alias=True)
