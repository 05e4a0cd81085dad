"""From a run's folder to today's verdicts.

Where a case's evidence can be read and yet does not tell the whole (`results.json` has no result
of it, or today's code does not know it), only what must hold at any time is judged: the verdict
is then unknown at best, and a failure is still seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.environment.target import Target
from chaos.evidence.bills import Mode
from chaos.evidence.case import Evidence
from chaos.evidence.histories import HISTORIES
from chaos.evidence.spec import OLD_SPECS, SPECS
from chaos.experiment.judge import judge, proofs, reason_of, safety, verdict_of
from chaos.experiment.lab import Lab
from chaos.experiment.results import (
    CaseResult,
    RunResult,
    ScenarioResult,
    broken_case_result,
    case_result,
    check_results,
    scenario_result,
)
from chaos.experiment.run import KEY_CHECK
from chaos.experiment.scenario import COMMON, Case, Scenario, in_mode, on_topology
from chaos.invariants.verdict import Finding, Verdict
from chaos.report.evidence import UNNAMED, load_evidence
from chaos.report.recheck.damage import JOURNAL, damage

DOUBT = "recheck"
"""The check of a case that cannot be judged in full."""
UNREADABLE = "evidence"
"""The check of a case whose evidence, or some of it, cannot be read; so in a run as well."""

_TRACES = (JOURNAL, SPECS, OLD_SPECS, HISTORIES)

Folders = Mapping[tuple[str, str], Path]
"""The folders with evidence, by the names of scenario and case."""


def case_folders(folder: Path) -> Folders:
    """All that are in a run's folder, whatever `results.json` says."""
    return {
        (path.parent.name, path.name): path
        for path in sorted(folder.glob("*/*"))
        if _holds_evidence(path)
    }


@dataclass(frozen=True)
class Judging:
    """The judgement of every case that the run has a result or a folder of."""

    folder: Path
    recorded: RunResult
    catalogue: Sequence[Scenario]
    folders: Folders

    def scenarios(self) -> list[ScenarioResult]:
        """Today's results, by number."""
        recorded = {scenario.name: scenario for scenario in self.recorded.scenarios}
        names = dict.fromkeys([*recorded, *(name for name, _ in self.folders)])
        results = [self._scenario(name, recorded.get(name)) for name in names]
        return sorted(results, key=lambda result: (result.number, result.name))

    def _scenario(self, name: str, recorded: ScenarioResult | None) -> ScenarioResult:
        scenario = next((each for each in self.catalogue if each.name == name), None)
        if scenario is None:
            number, title = (recorded.number, recorded.title) if recorded else (0, name)
            scenario = Scenario(number=number, name=name, title=title, cases=())
        before = {case.name: case for case in recorded.cases} if recorded else {}
        folders = {case: path for (owner, case), path in self.folders.items() if owner == name}
        cases = [
            self._case(scenario, case, before.get(case), folders.get(case))
            for case in dict.fromkeys([*before, *folders])
        ]
        nothing = _stand_in("none")
        nothing_result = broken_case_result(nothing, "the run has neither result nor evidence")
        return scenario_result(scenario, cases or [nothing_result])

    def _case(
        self, scenario: Scenario, name: str, recorded: CaseResult | None, folder: Path | None
    ) -> CaseResult:
        """Whatever is wrong with the evidence of one case, the others are judged."""
        control = bool(recorded and recorded.control)
        case = self._code(scenario, name)
        known = case or _stand_in(name, control=control)
        if folder is None:
            return broken_case_result(known, "the folder with its evidence is missing or empty")
        try:
            if case:
                evidence = case.target.load_evidence(folder)
            else:
                target, evidence = load_evidence(folder, self._targets)
                # With several targets it is not known whose it was.
                is_its_own = len(self._targets) == 1
                known = _stand_in(name, target if is_its_own else UNNAMED, control=control)
        except Exception as error:  # noqa: BLE001 - it may be damaged in any way
            return broken_case_result(known, damage(folder, error))
        doubts = [*self._doubts(scenario, name, recorded, evidence)]
        findings = [*_findings(known, evidence, doubts), *self._secrets(known, evidence, recorded)]
        seconds = recorded.duration_s if recorded else _journal_seconds(evidence)
        return self._result(known, evidence, findings, seconds)

    @property
    def _targets(self) -> Sequence[Target]:
        """Those of today's code, each once."""
        found: list[Target] = []
        for scenario in self.catalogue:
            found += [case.target for case in scenario.cases if case.target not in found]
        return found

    def _code(self, scenario: Scenario, name: str) -> Case | None:
        """Today's code of a case, in the run's mode and topology."""
        kept = on_topology(in_mode(scenario, self.recorded.mode), self.recorded.topology)
        return next((case for case in kept.cases if case.name == name), None)

    def _doubts(
        self, scenario: Scenario, name: str, recorded: CaseResult | None, evidence: Evidence
    ) -> Iterator[str]:
        """Why a case cannot be judged in full."""
        mode, topology = self.recorded.mode, self.recorded.topology
        if recorded is None:
            yield "results.json has no result for it: it was interrupted, or the result was removed"
        if not scenario.cases:
            yield f"no target of this project has a scenario {scenario.name} in `scenarios`"
        elif name not in {case.name for case in scenario.cases}:
            yield f"today's code has no case {name} of {scenario.name}"
        elif self._code(scenario, name) is None:
            yield f"today's code has no such {mode} case on the topology {topology}"
        if evidence.billing.mode is not mode:
            yield f"results.json says that it ran {mode}, its evidence {evidence.billing.mode}"

    def _secrets(
        self, case: Case, evidence: Evidence, recorded: CaseResult | None
    ) -> Iterator[Finding]:
        """What the run found in its search for the user's secrets, which cannot be repeated."""
        checks = recorded.checks if recorded else ()
        made = [check for check in checks if check.check == KEY_CHECK]
        for check in made:
            note = f"not repeated, because the secret is not saved; recorded as {check.verdict}"
            yield Finding(KEY_CHECK, check.verdict, (*check.problems, note))
        live = Mode.LIVE in {self.recorded.mode, evidence.billing.mode}
        if live and not made and not case.must_fail and not evidence.troubles:
            note = "not recorded, and cannot be repeated, because the secret is not saved"
            yield Finding(KEY_CHECK, Verdict.UNKNOWN, (note,))

    def _result(
        self, case: Case, evidence: Evidence, findings: Sequence[Finding], seconds: float
    ) -> CaseResult:
        """The findings stay, even where the figures cannot be computed."""
        try:
            result = case_result(case, evidence, findings, root=self.folder, duration_s=seconds)
        except Exception as error:  # noqa: BLE001 - it may be damaged in any way
            sentence = f"its figures cannot be computed: {error!r}"
            findings = [*findings, Finding(UNREADABLE, Verdict.UNKNOWN, (sentence,))]
            result = broken_case_result(case, sentence)
        return result.model_copy(
            update={
                "verdict": verdict_of(findings),
                "reason": _reason(findings),
                "checks": check_results(findings, {check.name for check in proofs(case)}),
            }
        )


def _holds_evidence(path: Path) -> bool:
    try:
        return any((path / trace).exists() for trace in _TRACES)
    except PermissionError:  # it is read later, which reports what is wrong
        return True


def _findings(case: Case, evidence: Evidence, doubts: Sequence[str]) -> Sequence[Finding]:
    if not doubts:
        return judge(case, evidence)
    doubt = Finding(DOUBT, Verdict.UNKNOWN, tuple(doubts))
    return (doubt, *(check.examine(evidence) for check in safety(case)))


def _reason(findings: Sequence[Finding]) -> str:
    """As in a run, but what was not repeated is not counted among what holds."""
    made = [finding for finding in findings if finding.check != KEY_CHECK]
    if verdict_of(findings) is Verdict.PASSED and len(made) < len(findings):
        return f"{reason_of(made)}; {KEY_CHECK} was not repeated"
    return reason_of(findings)


def _journal_seconds(evidence: Evidence) -> float:
    """How long the harness wrote, where no duration is on record."""
    times = [entry.at for entry in evidence.journal]
    return (max(times) - min(times)).total_seconds() if times else 0.0


def _stand_in(name: str, target: Target = UNNAMED, *, control: bool = False) -> Case:
    """For a case that today's code does not have: it must hold what holds of any of its target.

    A control's bills count in no sum.
    """

    async def experiment(lab: Lab) -> None:
        del lab

    checks = {check.name: check for check in (*COMMON, *target.invariants)}
    return Case(
        name=name,
        target=target,
        experiment=experiment,
        proofs=(),
        load=lambda _: (),
        invariants=tuple(checks.values()),
        must_fail=COMMON[0] if control else None,
    )
