"""How one case differs between two runs: verdict, money, times and attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from chaos.evidence.text import plain
from chaos.experiment.results import CaseResult
from chaos.invariants.recovery import Recovery
from chaos.invariants.verdict import Verdict
from chaos.report.table import broken, case_problems, exact

MONEY = {"billed": "cost_usd", "waste": "waste_usd", "possible waste": "possible_waste_usd"}
PARTS = ("detect", "reschedule", "restart", "redo")
"""Of a recovery."""


class Change(StrEnum):
    """What became of something, the worst first."""

    RED = "red"
    DEARER = "dearer"
    SLOWER = "slower"
    REPEATED = "more attempts"
    GONE = "not run"
    OTHER = "otherwise"
    NEW = "new"
    GREEN = "green"
    CHEAPER = "cheaper"
    FASTER = "faster"
    FEWER = "fewer attempts"


WORSE = (Change.RED, Change.DEARER, Change.SLOWER, Change.REPEATED, Change.GONE)


@dataclass(frozen=True)
class Noise:
    """What two times may differ by and yet be the same: the larger of the two."""

    share: float = 0.20
    seconds: float = 1.0

    def hides(self, now: float, was: float) -> bool:
        """Whether their difference means nothing."""
        return abs(now - was) <= max(self.seconds, self.share * was)


@dataclass(frozen=True)
class Difference:
    """One thing of a case, or of a whole scenario, that is not as it was."""

    change: Change
    place: str
    what: str
    now: str
    was: str
    by: str = ""
    why: str = ""

    def __str__(self) -> str:
        """As a sentence after its kind."""
        named = "" if self.what == "verdict" else f"{self.what} "
        by = f" ({self.by})" if self.by else ""
        why = f": {self.why}" if self.why else ""
        return f"{self.place}: {named}{self.now}, was {self.was}{by}{why}"


@dataclass(frozen=True)
class Pair:
    """One case in both runs."""

    place: str
    now: CaseResult
    was: CaseResult

    def unfit(self) -> str | None:
        """Why its figures cannot be compared; None where they can."""
        for case, when in ((self.now, "is now"), (self.was, "was")):
            if case.verdict is Verdict.UNKNOWN:
                return f"its verdict {when} unknown"
        now, was = len(self.now.workflows), len(self.was.workflows)
        if now != was:
            return f"it has {now} workflows now and had {was}"
        ideal, before = self.now.ideal_cost_usd, self.was.ideal_cost_usd
        if ideal != before:
            return f"its ideal cost is now {exact(ideal)} and was {exact(before)}"
        return None

    def verdict(self) -> Iterator[Difference]:
        """What became of the verdict, or of what it rests on."""
        now, was = self.now.verdict, self.was.verdict
        why = _problems(self.now)
        if now is not was:
            change = Change.GREEN if now is Verdict.PASSED else Change.OTHER
            change = Change.RED if was is Verdict.PASSED else change
            yield Difference(change, self.place, "verdict", now, was, why=why)
        elif now is not Verdict.PASSED and _broken(self.now) != _broken(self.was):
            checks = ", ".join(_broken(self.now)), ", ".join(_broken(self.was))
            yield Difference(Change.OTHER, self.place, f"{now} by", *checks, why=why)

    def money(self) -> Iterator[Difference]:
        """To the last digit: waste is never rounded away."""
        for what, name in MONEY.items():
            now, was = getattr(self.now, name), getattr(self.was, name)
            if now != was and self.is_recorded(name):
                change = Change.DEARER if now > was else Change.CHEAPER
                by = f"{'+' if now > was else '-'}{exact(abs(now - was))}"
                yield Difference(change, self.place, what, exact(now), exact(was), by)

    def is_recorded(self, name: str) -> bool:
        """Whether both versions wrote that figure."""
        return name in self.now.model_fields_set & self.was.model_fields_set

    def times(self, noise: Noise) -> Iterator[Difference]:
        """The duration, and the recovery from each fault that both runs had, with the parts that
        made the difference.
        """
        yield from self._time("duration", self.now.duration_s, self.was.duration_s, noise)
        before = _by_fault(self.was)
        for name, now in _by_fault(self.now).items():
            if name in before:
                was = before[name]
                parts = [
                    f"{part} {_seconds(getattr(now, part))}, was {_seconds(getattr(was, part))}"
                    for part in (PARTS if now and was else ())
                    if not noise.hides(getattr(now, part), getattr(was, part))
                ]
                total = now.total if now else None, was.total if was else None
                yield from self._time(f"recovery from {name}", *total, noise, ", ".join(parts))

    def _time(
        self, what: str, now: float | None, was: float | None, noise: Noise, why: str = ""
    ) -> Iterator[Difference]:
        after, before = now or 0.0, was or 0.0
        if not noise.hides(after, before):
            change = Change.SLOWER if after > before else Change.FASTER
            by = f"{after - before:+.1f} s"
            by += f", {(after - before) / before:+.0%}" if before else ""
            yield Difference(change, self.place, what, _seconds(now), _seconds(was), by, why)

    def attempts(self) -> Iterator[Difference]:
        """Those that activities which a fault met took beyond their first."""
        faults = (*self.now.faults, *self.was.faults)
        if any("repeated_attempts" not in fault.model_fields_set for fault in faults):
            return
        now, was = (sum(f.repeated_attempts for f in c.faults) for c in (self.now, self.was))
        if now != was:
            change = Change.REPEATED if now > was else Change.FEWER
            yield Difference(
                change, self.place, "repeated attempts", str(now), str(was), f"{now - was:+d}"
            )


def _by_fault(case: CaseResult) -> Mapping[str, Recovery | None]:
    """The recovery from each fault by its name, numbered where one comes again."""
    seen: Counter[str] = Counter()
    found: dict[str, Recovery | None] = {}
    for fault in case.faults:
        name = f"{fault.kind} at {fault.target}"
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} ({seen[name]})"] = fault.recovery_s
    return found


def _broken(case: CaseResult) -> list[str]:
    """The checks that do not hold."""
    return sorted({check.check for check in broken(case)})


def _problems(case: CaseResult) -> str:
    """The first problem with its check, and how many more there are."""
    problems = case_problems(case)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{plain(problems[0])}{more}" if problems else ""


def _seconds(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds:.1f} s"
