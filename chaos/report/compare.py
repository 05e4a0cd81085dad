"""Two runs compared: what turned red, dearer or slower, and what cannot be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from chaos.experiment.cost import ZERO
from chaos.experiment.results import RunResult
from chaos.invariants.verdict import Verdict
from chaos.report import markdown
from chaos.report.differences import MONEY, WORSE, Change, Difference, Noise, Pair
from chaos.report.table import exact

_ORDER = list(Change)
_ABSENT = "not run"
_OPEN_LINES = 10
"""More of one kind are folded in Markdown."""


@dataclass(frozen=True)
class Comparison:
    """What differs between a run and another, the worst first; `pairs` are the cases of both.

    `caveats` are sentences about what cannot be compared.
    """

    new: RunResult
    old: RunResult
    noise: Noise
    pairs: tuple[Pair, ...]
    differences: tuple[Difference, ...]
    caveats: tuple[str, ...]

    def of(self, *changes: Change) -> list[Difference]:
        """The differences of these kinds."""
        return [each for each in self.differences if each.change in changes]

    @property
    def turned_red(self) -> bool:
        """Whether something does not pass that passed, or that was not there."""
        return bool(self.of(Change.RED))

    @property
    def is_worse(self) -> bool:
        """Whether anything at all is worse than it was."""
        return bool(self.of(*WORSE))


def compare(new: RunResult, old: RunResult, noise: Noise | None = None) -> Comparison:
    """Compare a run to an older one, or any other."""
    noise = noise or Noise()
    pairs = tuple(_pairs(new, old))
    differences = [*_absences(new, old)]
    for pair in pairs:
        differences += pair.verdict()
        if pair.unfit() or new.mode is not old.mode:
            continue
        differences += [*pair.money(), *pair.attempts()]
        if new.topology is old.topology:
            differences += pair.times(noise)
    return Comparison(
        new=new,
        old=old,
        noise=noise,
        pairs=pairs,
        differences=tuple(sorted(differences, key=lambda each: _ORDER.index(each.change))),
        caveats=tuple(_caveats(new, old, pairs)),
    )


def _pairs(new: RunResult, old: RunResult) -> Iterator[Pair]:
    was = {(s.name, case.name): case for s in old.scenarios for case in s.cases}
    for scenario in new.scenarios:
        for case in scenario.cases:
            if before := was.get((scenario.name, case.name)):
                yield Pair(f"{scenario.name}/{case.name}", case, before)


def _absences(new: RunResult, old: RunResult) -> Iterator[Difference]:
    """What only one of the runs has. What is new and does not pass counts as turned red."""
    for place, verdict in _only_in(new, old).items():
        change = Change.NEW if verdict is Verdict.PASSED else Change.RED
        yield Difference(change, place, "verdict", verdict, _ABSENT, why=_reason(old, place))
    for place, verdict in _only_in(old, new).items():
        yield Difference(Change.GONE, place, "verdict", _ABSENT, verdict, why=_reason(new, place))


def _only_in(run: RunResult, other: RunResult) -> Mapping[str, Verdict]:
    """Scenarios that the other has none of, and cases of those that it has."""
    there = {s.name: {case.name for case in s.cases} for s in other.scenarios}
    found: dict[str, Verdict] = {}
    for scenario in run.scenarios:
        if scenario.name not in there:
            found[scenario.name] = scenario.verdict
            continue
        for case in scenario.cases:
            if case.name not in there[scenario.name]:
                found[f"{scenario.name}/{case.name}"] = case.verdict
    return found


def _reason(run: RunResult, place: str) -> str:
    """Why it was not run, where the run says so."""
    return next((each.reason for each in run.not_run if each.name == place), "")


def _caveats(new: RunResult, old: RunResult, pairs: Sequence[Pair]) -> Iterator[str]:
    if new.run_id == old.run_id:
        yield f"Both runs are named {new.run_id}."
    if not pairs:
        yield "The runs have no case in common, so nothing was compared."
    if new.mode is not old.mode:
        yield f"Costs and times are not compared: one ran {new.mode}, the other {old.mode}."
    elif new.topology is not old.topology:
        yield (
            f"Times are not compared: one ran on the topology {new.topology}, "
            f"the other on {old.topology}."
        )
    if new.seed != old.seed:
        seeds = [str(run.seed) if run.seed is not None else "none" for run in (new, old)]
        yield f"The schedules differ: one has the seed {seeds[0]}, the other {seeds[1]}."
    names = dict.fromkeys([*new.versions, *old.versions])
    versions = [(n, new.versions.get(n, "unknown"), old.versions.get(n, "unknown")) for n in names]
    if changed := [f"{name} {now}, was {was}" for name, now, was in versions if now != was]:
        yield f"The versions differ: {'; '.join(changed)}."
    yield from _caveats_of(new, old, pairs)


def _caveats_of(new: RunResult, old: RunResult, pairs: Sequence[Pair]) -> Iterator[str]:
    """What cannot be compared of the figures."""
    if new.mode is old.mode:
        for pair in pairs:
            if unfit := pair.unfit():
                yield f"Costs and times of {pair.place} are not compared: {unfit}."
    for what, name in MONEY.items():
        if not all(pair.is_recorded(name) for pair in pairs):
            yield (
                f"The {what} is not compared: one of the runs was made by a version that did "
                "not record it."
            )


def comparison_lines(found: Comparison) -> list[str]:
    """For a terminal: what cannot be compared, then each difference, the worst first."""
    lines = [conclusion(found), *(f"  {caveat}" for caveat in found.caveats)]
    for title, sentences in _sections(found).items():
        lines += ["", f"{title}:", *(f"  {sentence}" for sentence in sentences)]
    return lines


def comparison_blocks(found: Comparison) -> list[str]:
    """For Markdown: the same, a block for each."""
    blocks = ["### Compared", markdown.paragraph(conclusion(found))]
    if found.caveats:
        blocks.append(_bullets(found.caveats))
    for title, sentences in _sections(found).items():
        content = _bullets(sentences)
        folds = len(sentences) > _OPEN_LINES
        count = f"{title}: {len(sentences)}"
        blocks.append(markdown.folded(count, content) if folds else f"**{title}**\n\n{content}")
    return blocks


def conclusion(found: Comparison) -> str:
    """All of it in one sentence or two."""
    cases = "1 case" if len(found.pairs) == 1 else f"{len(found.pairs)} cases"
    what = f"Against run {found.old.run_id}, {cases} in both: "
    counts = [f"{len(some)} {change}" for change in Change if (some := found.of(change))]
    noise = f"{found.noise.share:.0%} and {found.noise.seconds:g} s"
    what += ", ".join(counts) if counts else f"nothing differs, times by no more than {noise}"
    return f"{what}. {_bill(found)}".strip()


def _bill(found: Comparison) -> str:
    """What all comparable cases cost together; controls are not counted."""
    if found.new.mode is not found.old.mode:
        return ""
    fit = [pair for pair in found.pairs if not pair.unfit() and not pair.now.control]
    now = sum((pair.now.cost_usd for pair in fit), ZERO)
    was = sum((pair.was.cost_usd for pair in fit), ZERO)
    if not fit:
        return ""
    return f"Billed, of what can be compared: {exact(now)}, was {exact(was)}."


def _sections(found: Comparison) -> Mapping[str, Sequence[str]]:
    """The differences of each kind; of places whose verdicts changed in the same way, one."""
    sections: dict[str, list[str]] = {}
    for change in Change:
        groups: dict[str, list[Difference]] = {}
        for each in found.of(change):
            alike = replace(each, place="") if each.what == "verdict" else each
            groups.setdefault(str(alike), []).append(each)
        for some in groups.values():
            place = ", ".join(each.place for each in some)
            sections.setdefault(change.capitalize(), []).append(str(replace(some[0], place=place)))
    return sections


def _bullets(sentences: Sequence[str]) -> str:
    return markdown.bullets([markdown.escaped(sentence) for sentence in sentences])
