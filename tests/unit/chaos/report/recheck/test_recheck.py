"""A run judged again: by its evidence alone, whatever its results say, and whatever is damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chaos.__main__ import main
from chaos.experiment.judge import judge
from chaos.experiment.results import NotRun, Overall, RunResult, case_result, scenario_result
from chaos.experiment.run import KEY_CHECK
from chaos.invariants.verdict import Finding, Verdict
from chaos.report.files import write_reports
from chaos.report.recheck import Recheck, recheck, terminal_lines
from tests.chaos.video.scenarios.catalogue import all_scenarios

DATA = Path(__file__).parents[4] / "data" / "evidence"
CASES = {
    "worker_crash": ("sigkill_twice",),
    "server_restart": ("sigkill", "control_in_memory"),
    "checkpoint": ("sigkill_after_video_1",),
}
CATALOGUE = all_scenarios()
SINGLE = "server_restart/sigkill"
SERIES = "checkpoint/sigkill_after_video_1"
NO_RUN = NotRun(number=5, name="concurrency", title="Concurrency", reason="it was not asked for")

Edit = Callable[[Any], None]


def _record(folder: Path, *found_then: Finding) -> RunResult:
    """Judge the evidence in a folder and write the results, both as a run does."""
    results = []
    for scenario in CATALOGUE:
        cases = []
        for name in CASES.get(scenario.name, ()):
            (case,) = (each for each in scenario.cases if each.name == name)
            evidence = case.target.load_evidence(folder / scenario.name / name)
            findings = [*judge(case, evidence), *(() if case.must_fail else found_then)]
            cases.append(case_result(case, evidence, findings, root=folder, duration_s=12.3456))
        if cases:
            results.append(scenario_result(scenario, cases))
    run = RunResult(
        run_id="2026-01-02T03-04-05Z",
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        versions={"python": "3.11"},
        scenarios=tuple(results),
        not_run=(NO_RUN,),
        overall=Overall(passed=len(results), total=len(results)),
    )
    write_reports(run, folder)
    return run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that passed."""
    folder = tmp_path / "reports" / "2026-01-02T03-04-05Z"
    for scenario, cases in CASES.items():
        for case in cases:
            shutil.copytree(DATA / scenario / case, folder / scenario / case)
    _record(folder)
    return folder


def _edit(file: Path, edit: Edit) -> None:
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def _edit_line(file: Path, number: int, edit: Edit) -> None:
    lines = file.read_text().splitlines()
    content = json.loads(lines[number])
    edit(content)
    lines[number] = json.dumps(content)
    file.write_text("\n".join(lines) + "\n")


def _cut_last_line(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def _verdicts(found: Recheck) -> Mapping[str, Verdict]:
    return {f"{s.name}/{c.name}": c.verdict for s in found.result.scenarios for c in s.cases}


def _not_passed(found: Recheck, place: str) -> Mapping[str, str]:
    """The checks of a case that do not pass, with what they found."""
    (case,) = (c for s in found.result.scenarios for c in s.cases if place == f"{s.name}/{c.name}")
    return {
        check.check: "; ".join(check.problems)
        for check in case.checks
        if check.verdict is not Verdict.PASSED
    }


def _only_this_changed(found: Recheck, place: str, verdict: Verdict) -> None:
    """One case has another verdict now, the others are as they were, and the exit code tells."""
    expected = dict.fromkeys(_verdicts(found), Verdict.PASSED) | {place: verdict}
    assert _verdicts(found) == expected
    assert found.exit_code == 1
    scenario, case = place.split("/")
    assert {(d.scenario, d.case) for d in found.differences} == {(scenario, None), (scenario, case)}
    assert any(place in line for line in terminal_lines(found))


def _all_that_failed_passed(results: Any) -> None:
    """Results as somebody would forge them."""
    for scenario in results["scenarios"]:
        for case in scenario["cases"]:
            for check in case["checks"]:
                check.update(verdict="passed", problems=[])
            case.update(verdict="passed", reason="all well")
        scenario.update(verdict="passed", reason="all well")


def test_an_untouched_run_has_the_same_results_again(run: Path) -> None:
    recorded = RunResult.model_validate_json((run / "results.json").read_bytes())

    found = recheck(run, CATALOGUE)

    assert found.result.scenarios == recorded.scenarios
    assert (found.differences, found.passed, found.recorded_passed) == ((), True, True)
    assert found.exit_code == 0
    assert terminal_lines(found)[-1] == "OVERALL: 3/3 tests passed, 1 not run"
    assert any("| 3. Server Restart" in line for line in terminal_lines(found))


def test_twice_or_elsewhere_gives_the_same(run: Path, tmp_path: Path) -> None:
    (run / SERIES / "artifacts/checkpoint-series/video-002.mp4").unlink()
    first = recheck(run, CATALOGUE)
    moved = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(run, moved)

    assert recheck(run, CATALOGUE) == first
    assert recheck(run.parent / "latest", CATALOGUE) == first
    assert recheck(moved, CATALOGUE) == first


def test_a_history_with_another_decision_fails(run: Path) -> None:
    def edit(history: Any) -> None:
        scheduled = [
            event["activityTaskScheduledEventAttributes"]
            for event in history["events"]
            if "activityTaskScheduledEventAttributes" in event
        ]
        scheduled[-1]["activityType"]["name"] = "burn_video"

    _edit(run / SERIES / "histories/checkpoint-series.run-1.json", edit)
    found = recheck(run, CATALOGUE)

    _only_this_changed(found, SERIES, Verdict.FAILED)
    assert "burn_video" in _not_passed(found, SERIES)["histories_replay"]


def test_a_history_that_is_gone_fails(run: Path) -> None:
    (run / SINGLE / "histories/restart-single.run-1.json").unlink()
    found = recheck(run, CATALOGUE)

    _only_this_changed(found, SINGLE, Verdict.FAILED)
    assert "restart-single is lost" in _not_passed(found, SINGLE)["workflows_end_as_expected"]


def test_what_the_checks_found_stands_where_there_are_no_figures(run: Path) -> None:
    """An event without the one before it breaks the figures, and nothing of the judgement."""

    def edit(history: Any) -> None:
        events = history["events"]
        kinds = [event["eventType"] for event in events]
        del events[kinds.index("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED")]

    _edit(run / SERIES / "histories/checkpoint-series.run-1.json", edit)
    found = recheck(run, CATALOGUE)

    _only_this_changed(found, SERIES, Verdict.FAILED)
    problems = _not_passed(found, SERIES)
    assert "checkpoint-series, run 1" in problems["histories_replay"]
    assert "figures cannot be computed: KeyError" in problems["evidence"]


def test_a_bill_that_is_there_twice_fails_and_shows_in_the_figures(run: Path) -> None:
    bills_file = run / SERIES / "ledger.jsonl"
    bills = [line for line in bills_file.read_text().splitlines() if '"billed"' in line]
    bills_file.write_text(bills_file.read_text() + bills[-1] + "\n")
    found = recheck(run, CATALOGUE)

    _only_this_changed(found, SERIES, Verdict.FAILED)
    assert "2 times instead of 1" in _not_passed(found, SERIES)["billed_at_most_expected"]
    figures = {d.what: (d.recorded, d.now) for d in found.differences if d.what != "verdict"}
    assert figures["cost_usd"] == ("3.639", "4.839")
    assert set(figures) == {"cost_usd", "waste_usd", "billed"}

    def by_an_older_version(results: Any) -> None:
        for scenario in results["scenarios"]:
            for case in scenario["cases"]:
                del case["waste_usd"]

    _edit(run / "results.json", by_an_older_version)
    assert "waste_usd" not in {each.what for each in recheck(run, CATALOGUE).differences}


def test_a_bill_of_another_amount_fails(run: Path) -> None:
    _edit_line(run / SERIES / "ledger.jsonl", 1, lambda bill: bill.update(amount_usd="0.04"))
    found = recheck(run, CATALOGUE)

    _only_this_changed(found, SERIES, Verdict.FAILED)
    assert set(_not_passed(found, SERIES)) == {"cost_matches_bills"}


def test_a_signal_that_is_not_in_the_journal_is_not_proven(run: Path) -> None:
    journal = run / SINGLE / "journal.jsonl"
    lines = [line for line in journal.read_text().splitlines() if '"signaled"' not in line]
    journal.write_text("\n".join(lines) + "\n")
    found = recheck(run, CATALOGUE)

    _only_this_changed(found, SINGLE, Verdict.UNKNOWN)
    assert set(_not_passed(found, SINGLE)) == {"server_was_down[SIGKILL]"}


def test_a_torn_journal_is_unknown_and_says_where(run: Path) -> None:
    """What a killed harness would have written next is not known."""
    journal = run / SINGLE / "journal.jsonl"
    last = len(journal.read_text().splitlines())
    _cut_last_line(journal)
    found = recheck(run, CATALOGUE)

    _only_this_changed(found, SINGLE, Verdict.UNKNOWN)
    assert _not_passed(found, SINGLE) == {
        "evidence": f"journal.jsonl ends in the middle of line {last}: "
        "its writer was killed, or it was truncated"
    }


def test_torn_bills_are_judged_as_in_a_run_and_noted(run: Path) -> None:
    bills_file = run / SINGLE / "ledger.jsonl"
    bills_file.write_bytes(bills_file.read_bytes() + b'{"at":"2026-11-2')
    found = recheck(run, CATALOGUE)

    assert found.exit_code == 0
    (note,) = (note for note in found.notes if "ledger.jsonl" in note)
    assert note.startswith(f"{SINGLE}: ledger.jsonl ends in the middle of a line")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("journal.jsonl", b'{"at":\n{}\n', "journal.jsonl is damaged: line 1 is not JSON"),
        ("journal.jsonl", b'{"at": 1}\n', "today's code cannot read it: "),
        ("ledger.jsonl", b"{}\n\xff\n{}\n", "ledger.jsonl is damaged: line 2 is not JSON"),
        ("expectations.json", b"", "expectations.json is damaged: it is not JSON"),
        ("paid_calls.json", b"[" * 100_000, "paid_calls.json is damaged: it is not JSON"),
        ("billing.json", b'{"mode": "free"}', "today's code cannot read it: "),
        (
            "histories/restart-single.run-1.json",
            b'{"events": [',
            "histories/restart-single.run-1.json is damaged: it is not JSON",
        ),
        ("expectations.json", None, "specs.json is missing"),
    ],
)
def test_evidence_that_cannot_be_read_is_unknown_and_named(
    name: str, content: bytes | None, sentence: str, run: Path
) -> None:
    file = run / SINGLE / name
    file.unlink() if content is None else file.write_bytes(content)
    found = recheck(run, CATALOGUE)

    _only_this_changed(found, SINGLE, Verdict.UNKNOWN)
    assert _not_passed(found, SINGLE)["evidence"].startswith(sentence)


def test_a_case_without_evidence_is_unknown(run: Path) -> None:
    shutil.rmtree(run / SINGLE)
    found = recheck(run, CATALOGUE)

    _only_this_changed(found, SINGLE, Verdict.UNKNOWN)
    assert _not_passed(found, SINGLE) == {
        "evidence": "the folder with its evidence is missing or empty"
    }


def test_the_evidence_of_another_case_does_not_do(run: Path) -> None:
    shutil.rmtree(run / SINGLE)
    shutil.copytree(run / SERIES, run / SINGLE)
    found = recheck(run, CATALOGUE)

    _only_this_changed(found, SINGLE, Verdict.UNKNOWN)
    assert "server_was_down[SIGKILL]" in _not_passed(found, SINGLE)


def test_forged_results_make_no_failure_a_pass(run: Path) -> None:
    (run / SERIES / "artifacts/checkpoint-series/video-002.mp4").unlink()
    assert _record(run).scenarios[-1].verdict is Verdict.FAILED
    honest = recheck(run, CATALOGUE)
    assert (honest.exit_code, honest.differences, honest.recorded_passed) == (1, (), False)

    gone = "artifacts_exist_with_their_hash: checkpoint-series/video-002.mp4 is missing"
    assert f"  {SERIES}: {gone}" in terminal_lines(honest)

    _edit(run / "results.json", _all_that_failed_passed)
    forged = recheck(run, CATALOGUE)

    assert forged.result == honest.result
    assert forged.recorded_passed
    assert (
        f"  {SERIES}: artifacts_exist_with_their_hash: recorded as passed, now failed: "
        "checkpoint-series/video-002.mp4 is missing"
    ) in terminal_lines(forged)
    _only_this_changed(forged, SERIES, Verdict.FAILED)
    assert terminal_lines(forged)[-1] == "OVERALL: 2/3 tests passed, 1 not run"


@pytest.mark.parametrize("level", ["scenario", "case", "check"])
def test_what_was_recorded_as_failed_is_no_success_even_if_it_passes_now(
    level: str, run: Path
) -> None:
    def edit(results: Any) -> None:
        scenario = results["scenarios"][0]
        case = scenario["cases"][0]
        {"scenario": scenario, "case": case, "check": case["checks"][0]}[level]["verdict"] = (
            "failed"
        )

    _edit(run / "results.json", edit)
    found = recheck(run, CATALOGUE)

    assert (found.passed, found.exit_code) == (True, 1)
    (difference,) = found.differences
    assert (difference.recorded, difference.now) == ("failed", "passed")
    assert [difference.case is not None, difference.check is not None] == [
        level != "scenario",
        level == "check",
    ]


def test_of_two_results_of_one_scenario_the_failed_one_counts(run: Path) -> None:
    def edit(results: Any) -> None:
        results["scenarios"].insert(0, {**results["scenarios"][0], "verdict": "failed"})

    _edit(run / "results.json", edit)

    assert recheck(run, CATALOGUE).exit_code == 1


def test_another_bill_on_record_is_a_difference_of_its_own(run: Path) -> None:
    def edit(results: Any) -> None:
        results["scenarios"][-1]["cases"][0]["cost_usd"] = "0.5"

    _edit(run / "results.json", edit)
    found = recheck(run, CATALOGUE)

    assert (found.passed, found.recorded_passed, found.exit_code) == (True, True, 1)
    assert f"  {SERIES}: cost_usd recorded as 0.5, now 3.639" in terminal_lines(found)


@pytest.mark.parametrize("whole", [True, False], ids=["scenario", "case"])
def test_a_result_that_was_removed_is_found_by_its_evidence(run: Path, *, whole: bool) -> None:
    def edit(results: Any) -> None:
        (restart,) = (s for s in results["scenarios"] if s["name"] == "server_restart")
        if whole:
            results["scenarios"].remove(restart)
        else:
            restart["cases"] = [c for c in restart["cases"] if c["name"] != "sigkill"]

    _edit(run / "results.json", edit)
    found = recheck(run, CATALOGUE)

    assert _verdicts(found)[SINGLE] is Verdict.UNKNOWN
    assert "results.json has no result for it" in _not_passed(found, SINGLE)["recheck"]
    assert found.exit_code == 1


def test_a_scenario_that_todays_code_does_not_know_is_unknown(run: Path) -> None:
    old = [scenario for scenario in CATALOGUE if scenario.name != "checkpoint"]
    found = recheck(run, old)

    _only_this_changed(found, SERIES, Verdict.UNKNOWN)
    assert _not_passed(found, SERIES) == {
        "recheck": "no target of this project has a scenario checkpoint in `scenarios`"
    }
    assert any(line.startswith("| 4. Checkpoint Recovery") for line in terminal_lines(found))


def test_a_case_that_todays_code_does_not_know_is_unknown(run: Path) -> None:
    shutil.move(run / SINGLE, run / "server_restart/sigquit")

    def edit(results: Any) -> None:
        results["scenarios"][1]["cases"][0]["name"] = "sigquit"

    _edit(run / "results.json", edit)
    found = recheck(run, CATALOGUE)

    place = "server_restart/sigquit"
    _only_this_changed(found, place, Verdict.UNKNOWN)
    assert "no case sigquit of server_restart" in _not_passed(found, place)["recheck"]


def test_money_lost_is_a_failure_even_of_a_case_that_is_not_known(run: Path) -> None:
    bills_file = run / SERIES / "ledger.jsonl"
    bills = [line for line in bills_file.read_text().splitlines() if '"billed"' in line]
    bills_file.write_text(bills_file.read_text() + bills[-1] + "\n")
    found = recheck(run, [s for s in CATALOGUE if s.name != "checkpoint"])

    _only_this_changed(found, SERIES, Verdict.FAILED)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("topology", "postgres", "today's code has no such mocked case on the topology postgres"),
        ("mode", "live", "results.json says that it ran live, its evidence mocked"),
    ],
)
def test_results_of_another_mode_or_topology_make_no_pass(
    field: str, value: str, sentence: str, run: Path
) -> None:
    _edit(run / "results.json", lambda results: results.update({field: value}))
    found = recheck(run, CATALOGUE)

    assert found.exit_code == 1
    assert _verdicts(found)[SINGLE] is Verdict.UNKNOWN
    assert sentence in _not_passed(found, SINGLE)["recheck"]


def test_trouble_in_the_journal_is_unknown(run: Path) -> None:
    with (run / SINGLE / "journal.jsonl").open("a") as journal:
        journal.write('{"at":"2026-11-24T15:21:49Z","event":"trouble","text":"it broke"}\n')
    found = recheck(run, CATALOGUE)

    assert _verdicts(found)[SINGLE] is Verdict.UNKNOWN
    assert _not_passed(found, SINGLE) == {"experiment": "it broke"}


@pytest.mark.parametrize("verdict", [Verdict.PASSED, Verdict.FAILED])
def test_the_search_for_the_users_secret_stands_and_is_marked(verdict: Verdict, run: Path) -> None:
    problems = ("logs/worker-1.log contains an API key",) if verdict is Verdict.FAILED else ()
    _record(run, Finding(KEY_CHECK, verdict, problems))
    found = recheck(run, CATALOGUE)

    passes = verdict is Verdict.PASSED
    assert found.exit_code == (0 if passes else 1)
    assert found.differences == ()
    assert [sentence.split(": ")[0] for sentence in found.not_repeated] == [
        "worker_crash/sigkill_twice",
        SINGLE,
        SERIES,
    ]
    (case,) = found.result.scenarios[-1].cases
    assert f"not repeated, because the secret is not saved; recorded as {verdict}" in (
        case.checks[-1].problems
    )
    assert case.reason.endswith(f"checks hold; {KEY_CHECK} was not repeated") is passes
    assert any(found.not_repeated[-1] in line for line in terminal_lines(found))


def test_a_live_case_without_a_search_for_the_key_is_unknown(run: Path) -> None:
    _edit(run / "results.json", lambda results: results.update(mode="live"))
    for file in run.glob("*/*/billing.json"):
        _edit(file, lambda billing: billing.update(mode="live"))
    found = recheck(run, CATALOGUE)

    assert "not recorded, and cannot be repeated" in _not_passed(found, SERIES)[KEY_CHECK]
    assert _verdicts(found)[SERIES] is Verdict.UNKNOWN


def test_checks_that_are_new_or_gone_are_said_and_change_nothing(run: Path) -> None:
    def edit(results: Any) -> None:
        results["scenarios"][-1]["cases"][0]["checks"][-1]["check"] = "an_old_check"

    _edit(run / "results.json", edit)
    found = recheck(run, CATALOGUE)

    assert found.exit_code == 0
    assert f"{SERIES}: no longer checked: an_old_check" in found.notes
    assert f"{SERIES}: checked now, and not in the run: no_secret_is_kept" in found.notes


def test_a_scenario_that_is_called_not_run_is_judged_by_its_evidence(run: Path) -> None:
    def edit(results: Any) -> None:
        gone = results["scenarios"].pop()
        named = {key: gone[key] for key in ("number", "name", "title")}
        results["not_run"].append({**named, "reason": "never mind"})

    _edit(run / "results.json", edit)
    found = recheck(run, CATALOGUE)

    assert found.result.not_run == (NO_RUN,)
    assert found.result.scenarios[-1].verdict is Verdict.UNKNOWN


def test_a_run_of_nothing_shows_nothing(run: Path) -> None:
    for case in run.glob("*/*"):
        shutil.rmtree(case)
    _edit(run / "results.json", lambda results: results.update(scenarios=[]))
    found = recheck(run, CATALOGUE)

    assert (found.passed, found.exit_code) == (False, 1)
    assert "nothing was proven" in terminal_lines(found)[-2]


def test_a_control_that_is_not_known_still_counts_in_no_sum(run: Path) -> None:
    found = recheck(run, [s for s in CATALOGUE if s.name != "server_restart"])

    (restart,) = (s for s in found.result.scenarios if s.name == "server_restart")
    assert [case.control for case in restart.cases] == [False, True]
    assert f"{restart.cost_usd}" == "1.239"


def _files(run: Path) -> dict[str, bytes]:
    return {str(f.relative_to(run)): f.read_bytes() for f in run.rglob("*") if f.is_file()}


def test_only_write_writes_and_never_the_results(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _files(run)
    assert main(["recheck", str(run)]) == 0
    assert _files(run) == before

    assert main(["recheck", str(run), "--write"]) == 0
    written = {name: data for name, data in _files(run).items() if before.get(name) != data}
    assert set(written) == {"recheck.json", "recheck.md"}
    assert json.loads(written["recheck.json"])["schema"] == 1
    found = Recheck.model_validate_json(written["recheck.json"])
    assert found == recheck(run, CATALOGUE)
    assert "OVERALL: 3/3 tests passed, 1 not run" in written["recheck.md"].decode()

    assert main(["recheck", str(run), "--write"]) == 0
    assert _files(run) == before | written
    table, _, again = capsys.readouterr().out.partition("OVERALL")
    assert again.count(table) == 2


def test_the_markdown_tells_what_has_changed(run: Path) -> None:
    (run / SERIES / "artifacts/checkpoint-series/video-002.mp4").unlink()

    assert main(["recheck", str(run), "--write"]) == 1
    text = (run / "recheck.md").read_text()
    assert (
        "## What differs from the record\n\n- checkpoint: recorded as passed, now failed\n" in text
    )
    assert "Today's results differ from the recorded ones." in text


def test_a_recheck_that_cannot_be_written_is_told(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "recheck.json").mkdir()

    assert main(["recheck", str(run), "--write"]) == 2
    assert f"could not be written to {run}" in capsys.readouterr().err
