"""Two runs compared: each kind of change is seen, and none where there is none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode
from chaos.experiment.results import CaseResult, NotRun, RunResult, WorkflowResult
from chaos.invariants.verdict import Verdict
from chaos.report.compare import compare, comparison_blocks, comparison_lines, conclusion
from chaos.report.differences import Change, Noise
from tests.unit.chaos.report.made_runs import a_case, a_fault, a_recovery, a_run, a_scenario

OLD = a_run(a_scenario())
BROKEN = a_case("one", "it broke", "twice")
UNKNOWN = a_case("one", "it broke", "twice", verdict=Verdict.UNKNOWN)


def _run(case: CaseResult) -> RunResult:
    return a_run(a_scenario("crash", case), run_id="new")


def _with(**given: Any) -> RunResult:
    return _run(a_case(**given))


def _recovering(*recoveries: Any) -> RunResult:
    return _with(faults=tuple(a_fault(each) for each in recoveries))


def _differences(new: RunResult, old: RunResult, noise: Noise | None = None) -> list[str]:
    return [f"{each.change}: {each}" for each in compare(new, old, noise).differences]


def test_equal_runs_have_no_difference() -> None:
    found = compare(a_run(a_scenario(), run_id="new"), OLD)

    assert found.differences == ()
    assert found.caveats == ()
    assert not found.turned_red
    assert not found.is_worse
    assert "\n".join(comparison_lines(found)) == (
        "Against run 2026-01-02T03-04-05Z, 1 case in both: nothing differs, times by no more than "
        "20% and 1 s. Billed, of what can be compared: $1.239, was $1.239."
    )


OTHER_CHECK = BROKEN.model_copy(
    update={"checks": (BROKEN.checks[0].model_copy(update={"check": "another"}),)}
)
SLOWER_RECOVERY = (
    "slower: crash/one: recovery from kill at worker-1 38.0 s, was 26.0 s (+12.0 s, +46%): "
    "detect 22.0 s, was 10.0 s"
)
IN_SHORT = "it_holds: it broke (and 1 more)"


@pytest.mark.parametrize(
    ("new", "old", "difference"),
    [
        (_run(BROKEN), OLD, f"red: crash/one: failed, was passed: {IN_SHORT}"),
        (_run(UNKNOWN), OLD, f"red: crash/one: unknown, was passed: {IN_SHORT}"),
        (OLD, _run(BROKEN), "green: crash/one: passed, was failed"),
        (
            _run(BROKEN),
            _run(UNKNOWN),
            f"otherwise: crash/one: failed, was unknown: {IN_SHORT}",
        ),
        (
            _run(OTHER_CHECK),
            _run(BROKEN),
            "otherwise: crash/one: failed by another, was it_holds: another: it broke (and 1 more)",
        ),
        (
            _run(a_case("one", "a\n\x1b[31mb")),
            OLD,
            "red: crash/one: failed, was passed: it_holds: a [31mb",
        ),
        (
            _with(duration_s=50.0),
            OLD,
            "slower: crash/one: duration 50.0 s, was 40.0 s (+10.0 s, +25%)",
        ),
        (
            OLD,
            _with(duration_s=60.0),
            "faster: crash/one: duration 40.0 s, was 60.0 s (-20.0 s, -33%)",
        ),
        (
            _recovering(a_recovery(detect=22.0)),
            OLD,
            SLOWER_RECOVERY,
        ),
        (
            OLD,
            _recovering(None),
            "slower: crash/one: recovery from kill at worker-1 26.0 s, was none (+26.0 s)",
        ),
        (
            _with(faults=(a_fault(a_recovery(), repeated_attempts=3),)),
            OLD,
            "more attempts: crash/one: repeated attempts 3, was 1 (+2)",
        ),
        (
            OLD,
            _with(faults=(a_fault(a_recovery(), repeated_attempts=3),)),
            "fewer attempts: crash/one: repeated attempts 1, was 3 (-2)",
        ),
    ],
)
def test_a_change_is_told_in_a_sentence(new: RunResult, old: RunResult, difference: str) -> None:
    assert _differences(new, old) == [difference]
    assert compare(new, old).turned_red is difference.startswith("red")
    assert _differences(new, new) == []


def test_each_fault_is_compared_to_its_own() -> None:
    first = a_recovery(redo=1.0)
    both = _recovering(first, a_recovery(redo=30.0))
    later = _recovering(first, a_recovery(redo=60.0))

    (difference,) = compare(later, both).differences

    assert difference.what == "recovery from kill at worker-1 (2)"


def test_scenarios_and_cases_that_are_new_or_gone_are_told_with_the_reason() -> None:
    absent = NotRun(number=2, name="disk", title="Disk", reason="nobody may mount here")
    more = a_run(a_scenario("crash", a_case(), a_case("two")), a_scenario("disk", number=2))
    less = a_run(a_scenario(), not_run=[absent], run_id="new")

    assert _differences(less, more) == [
        "not run: crash/two: not run, was passed",
        "not run: disk: not run, was passed: nobody may mount here",
    ]
    assert _differences(more, less) == [
        "new: crash/two: passed, was not run",
        "new: disk: passed, was not run: nobody may mount here",
    ]
    assert compare(less, more).is_worse
    assert not compare(more, less).is_worse


def test_what_is_new_and_does_not_pass_counts_as_turned_red() -> None:
    found = compare(a_run(a_scenario(), a_scenario("disk", BROKEN)), OLD)

    assert [each.change for each in found.differences] == [Change.RED]
    assert found.turned_red


@pytest.mark.parametrize(
    ("figure", "what"),
    [
        ("cost_usd", "billed"),
        ("waste_usd", "waste"),
        ("possible_waste_usd", "possible waste"),
    ],
)
def test_not_the_least_part_of_a_cent_is_lost(figure: str, what: str) -> None:
    was = getattr(OLD.scenarios[0].cases[0], figure)
    dearer = _with(**{figure: was + Decimal("0.0004")})

    (up,), (down,) = compare(dearer, OLD).differences, compare(OLD, dearer).differences

    assert (up.change, up.what, up.by) == (Change.DEARER, what, "+$0.0004")
    assert (down.change, down.what, down.by) == (Change.CHEAPER, what, "-$0.0004")


def test_equal_amounts_that_are_written_differently_are_equal() -> None:
    assert compare(_with(cost_usd=Decimal("1.23900")), OLD).differences == ()


@pytest.mark.parametrize(
    ("now", "was", "noise", "is_slower"),
    [
        (47.9, 40.0, None, False),
        (32.1, 40.0, None, False),
        (48.1, 40.0, None, True),
        (1.9, 1.0, None, False),
        (2.1, 1.0, None, True),
        (47.9, 40.0, Noise(share=0.1), True),
        (60.0, 40.0, Noise(share=0.6), False),
    ],
)
def test_times_may_differ_by_the_noise(
    now: float, was: float, noise: Noise | None, *, is_slower: bool
) -> None:
    found = compare(_with(duration_s=now), _with(duration_s=was), noise)

    assert [each.change for each in found.differences] == [Change.SLOWER] * is_slower


def test_red_comes_first_then_dearer_then_slower() -> None:
    late = (a_fault(a_recovery(redo=40)),)
    worse = a_case("one", "broke", duration_s=90.0, waste_usd=Decimal(1), faults=late)

    assert [each.change for each in compare(_run(worse), OLD).differences] == [
        *(Change.RED, Change.DEARER, Change.SLOWER, Change.SLOWER),
    ]


def _workflows(count: int) -> tuple[WorkflowResult, ...]:
    (workflow,) = a_case().workflows
    return (workflow,) * count


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"workflows": _workflows(5)}, "it has 5 workflows now and had 1"),
        ({"ideal_cost_usd": Decimal(9)}, "its ideal cost is now $9.00 and was $1.239"),
        ({"verdict": Verdict.UNKNOWN}, "its verdict is now unknown"),
    ],
)
def test_figures_of_cases_that_did_not_do_the_same_are_not_compared(
    given: dict[str, Any], why: str
) -> None:
    found = compare(_with(cost_usd=Decimal(9), duration_s=90.0, **given), OLD)

    assert found.caveats == (f"Costs and times of crash/one are not compared: {why}.",)
    assert not found.of(Change.DEARER, Change.SLOWER)
    assert "Billed" not in conclusion(found)


def test_another_mode_has_other_costs_and_times() -> None:
    live = a_run(a_scenario("crash", a_case(cost_usd=Decimal(9), duration_s=90)), mode=Mode.LIVE)
    found = compare(live.model_copy(update={"run_id": "new"}), OLD)

    assert found.caveats == ("Costs and times are not compared: one ran live, the other mocked.",)
    assert found.differences == ()


def test_another_topology_has_other_times_but_the_same_costs() -> None:
    there = _with(cost_usd=Decimal(9), duration_s=90.0)
    found = compare(there.model_copy(update={"topology": Topology.POSTGRES}), OLD)

    assert found.caveats == (
        "Times are not compared: one ran on the topology postgres, the other on dev.",
    )
    assert [each.change for each in found.differences] == [Change.DEARER]


def test_another_seed_and_other_versions_are_told() -> None:
    new = _run(a_case()).model_copy(update={"seed": 7, "versions": {"server": "1.32"}})

    assert compare(new, OLD).caveats == (
        "The schedules differ: one has the seed 7, the other none.",
        "The versions differ: server 1.32, was 1.31.2.",
    )


def test_what_an_older_version_did_not_record_is_not_compared() -> None:
    content = OLD.model_dump(mode="json", by_alias=True)
    for name in ("waste_usd", "possible_waste_usd"):
        del content["scenarios"][0]["cases"][0][name]
    del content["scenarios"][0]["cases"][0]["faults"][0]["repeated_attempts"]
    old = RunResult.model_validate(content)

    found = compare(_with(waste_usd=Decimal(1), possible_waste_usd=Decimal(1)), old)

    assert found.differences == ()
    assert found.caveats == tuple(
        f"The {what} is not compared: one of the runs was made by a version that did not record it."
        for what in ("waste", "possible waste")
    )


def test_runs_without_a_common_case_say_that_nothing_was_compared() -> None:
    found = compare(a_run(a_scenario("disk"), run_id="new"), OLD)

    assert found.pairs == ()
    assert found.caveats == ("The runs have no case in common, so nothing was compared.",)


def test_a_controls_bill_is_in_no_sum() -> None:
    control = a_case("control", control=True, cost_usd=Decimal(5))
    both = a_run(a_scenario("crash", a_case(), control))

    assert "Billed, of what can be compared: $1.239, was $1.239." in conclusion(compare(both, both))


def test_scenarios_that_changed_alike_share_a_line() -> None:
    three = [a_scenario(name, number=number) for number, name in enumerate("abc")]
    lines = comparison_lines(compare(OLD, a_run(a_scenario(), *three)))

    assert lines[-2:] == ["Not run:", "  a, b, c: not run, was passed"]


def test_markdown_folds_what_is_long_and_escapes_what_is_hostile() -> None:
    hostile = compare(_run(a_case("one", "a|b <script>")), OLD)
    many = a_run(*(a_scenario(f"s{n}", a_case(duration_s=90.0)) for n in range(11)))
    before = a_run(*(a_scenario(f"s{n}") for n in range(11)))

    assert r"a\|b \<script\>" in "\n".join(comparison_blocks(hostile))
    assert "<details>" not in "\n".join(comparison_blocks(hostile))
    assert "<summary>Slower: 11</summary>" in "\n".join(comparison_blocks(compare(many, before)))
