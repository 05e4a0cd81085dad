"""`chaos shrink RUN`: find a shorter schedule that fails as one of a run did.

By delta debugging (ddmin): first the faults, then the workflows. Each time parts are removed, and a
schedule that still fails is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from chaos.environment.provision import Choice
from chaos.environment.target import Target
from chaos.experiment.lab import Options
from chaos.experiment.reading import ReadingError, read_run
from chaos.experiment.results import CaseResult
from chaos.experiment.runner import RunError, Runner
from chaos.invariants.verdict import Verdict
from chaos.search.schedule import (
    FILE,
    Schedule,
    ScheduleError,
    load_of,
    read_schedule,
    require_no_commands,
)
from chaos.search.seeded import AT_ONCE, NAME, seeded

FOLDER = "shrink"
"""The folder beside the run's evidence for the runs and the result of the search."""


T = TypeVar("T")

RunAll = Callable[[Sequence[Schedule]], Sequence[bool]]
"""Runs schedules, side by side, and says of each whether it fails as the first one did."""

Steps = Generator[Sequence[Schedule], Sequence[bool], T]
"""A search that yields the schedules to run next, and is sent what `RunAll` says of them."""


class ShrinkError(Exception):
    """Nothing can be shrunk. One sentence: why, and what to do."""


@dataclass(frozen=True)
class Shrunk:
    """The result: `file` is the shorter schedule, which `--replay` takes."""

    before: Schedule
    after: Schedule
    tried: int
    file: Path


@dataclass(frozen=True)
class Means:
    """How schedules of a target are run, and how many at most. `worker_argv` is the user's own
    program instead of the target's.
    """

    target: Target
    most_runs: int
    say: Callable[[str], None]
    choice: Choice = field(default_factory=Choice)
    worker_argv: Sequence[str] = ()


def shrink(run: Path, means: Means, *, case: str | None = None) -> Shrunk:
    """Shrink the first schedule of a run that failed, or the one of a named case.

    Raises ShrinkError, and RunError where nothing can be run here.
    """
    run = run.resolve()  # processes have folders of their own, and `latest` may move meanwhile
    failed = _failed_case(run, case)
    checks = {check.check for check in failed.checks if check.verdict is Verdict.FAILED}
    schedule = _schedule(run, failed.name)
    folder = run / FOLDER
    means.say(f"{failed.name} failed: {', '.join(sorted(checks))}")

    def fails(schedules: Sequence[Schedule]) -> Sequence[bool]:
        runner = Runner(
            chosen=(seeded(numbered(schedules), means.target),),
            choice=means.choice,
            options=Options(),
            reports=folder,
            worker_argv=means.worker_argv,
        )
        return [bool(checks & _failed_checks(found)) for found in _cases(runner)]

    try:
        require_no_commands([schedule])
        load_of(schedule, means.target)
    except ScheduleError as error:
        raise ShrinkError(str(error)) from None
    search = Shrinking(most_runs=means.most_runs, at_once=AT_ONCE, say=means.say)
    after = carried_out(search.steps(schedule), fails)
    folder.mkdir(exist_ok=True)
    after.write(folder)
    return Shrunk(before=schedule, after=after, tried=search.tried, file=folder / FILE)


def numbered(schedules: Sequence[Schedule]) -> list[Schedule]:
    """Candidates of one seed would share the name of their cases, and so a folder."""
    return [
        schedule.model_copy(update={"part": number})
        for number, schedule in enumerate(schedules, start=1)
    ]


def _cases(runner: Runner) -> Sequence[CaseResult]:
    """Run and judge them. Raises RunError."""
    try:
        runner.start()
        if runner.missing:
            raise RunError(runner.missing)
        return runner.result(runner.scenarios[0]).cases
    finally:
        runner.stop()


def _failed_checks(case: CaseResult) -> set[str]:
    return {check.check for check in case.checks if check.verdict is Verdict.FAILED}


def _failed_case(run: Path, name: str | None) -> CaseResult:
    try:
        recorded = read_run(run)
    except ReadingError as error:
        raise ShrinkError(str(error)) from None
    cases = [case for s in recorded.scenarios if s.name == NAME for case in s.cases]
    if not cases:
        raise ShrinkError(f"{run} has no seeded schedule: run with --seed first.")
    failed = [case for case in cases if case.verdict is Verdict.FAILED]
    wanted = [case for case in failed if name in {None, case.name}]
    if not wanted:
        names = ", ".join(case.name for case in failed)
        what = f"the cases that failed are {names}" if names else "none of its schedules failed"
        raise ShrinkError(f"there is nothing to shrink in {run}: {what}.")
    return wanted[0]


def _schedule(run: Path, case: str) -> Schedule:
    try:
        schedule = read_schedule(run / NAME / case / FILE)
    except ScheduleError as error:
        raise ShrinkError(str(error)) from None
    return schedule.model_copy(update={"part": None})


@dataclass
class Shrinking:
    """One search. `tried` counts the schedules that were run, at most `most_runs`.

    What fails is run again, `confirmations` times, and kept only if it fails each time:
    which worker has a task in flight is chance, and so is a failure that depends on it.
    """

    most_runs: int
    at_once: int
    confirmations: int = 2
    say: Callable[[str], None] = lambda _: None
    tried: int = 0
    _known: dict[str, bool] = field(default_factory=dict)

    def steps(self, schedule: Schedule) -> Steps[Schedule]:
        """To the shortest found; the schedule itself if nothing shorter fails. The same answers
        always lead to the same steps.
        """
        best = yield from self._least(schedule, schedule.faults, _with_faults, least=0)
        best = yield from self._least(best, best.starts, _with_starts, least=1)
        trimmed = trim(best)
        return trimmed if (yield from self._first_failing([trimmed])) == 0 else best

    def _least(
        self,
        schedule: Schedule,
        items: Sequence[T],
        with_items: Callable[[Schedule, Sequence[T]], Schedule],
        least: int,
    ) -> Steps[Schedule]:
        """Ddmin over one kind of part."""
        items = tuple(items)
        best, pieces = schedule, 2
        if least == 0 and items:
            bare = trim(with_items(schedule, ()))
            if (yield from self._first_failing([bare])) == 0:
                return bare
        while len(items) > max(1, least) and self.tried < self.most_runs:
            subsets = [s for s in _subsets(items, pieces) if least <= len(s) < len(items)]
            candidates = [trim(with_items(schedule, subset)) for subset in subsets]
            found = yield from self._first_failing(candidates)
            if found is not None:
                items, best, pieces = subsets[found], candidates[found], 2
                self.say(f"still fails with {len(best.faults)} fault(s), {len(best.starts)} load")
            elif pieces >= len(items):
                break
            else:
                pieces = min(len(items), 2 * pieces)
        return best

    def _first_failing(self, candidates: Sequence[Schedule]) -> Steps[int | None]:
        """The first of them that fails, several run at once; None if none does."""
        for start in range(0, len(candidates), self.at_once):
            batch = candidates[start : start + self.at_once]
            new = [each for each in batch if _key(each) not in self._known]
            new = new[: max(0, self.most_runs - self.tried)]
            self.tried += len(new)
            answers = (yield new) if new else ()
            for each, fails in zip(new, answers, strict=True):
                self._known[_key(each)] = fails and (yield from self._fails_again(each))
            for offset, each in enumerate(batch):
                if self._known.get(_key(each)):
                    return start + offset
        return None

    def _fails_again(self, schedule: Schedule) -> Steps[bool]:
        self.tried += self.confirmations
        return all((yield [schedule] * self.confirmations)) if self.confirmations else True


def carried_out(steps: Steps[T], run: RunAll) -> T:
    """The result of a search whose schedules are run in this thread."""
    try:
        candidates = next(steps)
        while True:
            candidates = steps.send(run(candidates))
    except StopIteration as done:
        found: T = done.value
        return found


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
