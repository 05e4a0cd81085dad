"""The summary of a run for a pull request: the verdict first, then what it rests on."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from chaos.evidence.text import plain
from chaos.experiment.results import NotRun, RunResult, ScenarioResult
from chaos.invariants.verdict import Verdict
from chaos.report import markdown
from chaos.report.again import again, not_passed
from chaos.report.compare import Comparison, comparison_blocks
from chaos.report.coverage import coverage_lines
from chaos.report.table import (
    FIGURE_HEAD,
    broken,
    exact,
    figure_rows,
    goal_lines,
    notice_lines,
    second_try_lines,
    totals,
    usd,
)

Environment = Mapping[str, str]

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
MOST_BYTES = 1024 * 1024
"""What GitHub takes of one step; of more it shows nothing."""

NOT_RUN = "-"
SIGNS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.UNKNOWN: "?"}
"""They differ without colour."""

_OPEN_LINES = 3
"""More problems of a scenario than that are folded."""
_MOST_LINES = 200
_HEAD = ("", "Test", "Duration:", "Billed:", "Waste:", "Slowest recovery")


def summary(
    result: RunResult,
    *,
    comparison: Comparison | None = None,
    environment: Environment = os.environ,
    most_bytes: int = MOST_BYTES,
) -> str:
    """Markdown of at most so many bytes; what is cut off is said to be."""
    blocks = [
        f"## {markdown.escaped(verdict_line(result))}",
        _facts(result),
        _bill(result),
        markdown.table(_HEAD, _rows(result)),
        *_problems(result),
        *_goals(result),
        *_figures(result),
        *_notices(result),
        *coverage_lines(result),
        *_second_tries(result),
        *_absent(result.not_run),
        *(comparison_blocks(comparison) if comparison else ()),
        _whereabouts(result, environment),
    ]
    rest = f"**The rest did not fit**: see {markdown.code(_file(result, 'results.md'))}."
    return markdown.bounded(blocks, most_bytes, rest)


def append_step_summary(result: RunResult, environment: Environment) -> str | None:
    """Show it on the page of the GitHub job, where this is one; a sentence where that failed."""
    name = environment.get(STEP_SUMMARY)
    if not name:
        return None
    file = Path(name)
    try:
        taken = file.stat().st_size if file.exists() else 0
        text = summary(result, environment=environment, most_bytes=MOST_BYTES - taken)
        if len(text.encode()) > MOST_BYTES - taken:
            return (
                f"{STEP_SUMMARY} names {name}, which is full: the summary is in summary.md alone."
            )
        # Non-blocking, or a pipe without a reader would hold the run for ever.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
        with os.fdopen(os.open(file, flags, 0o666), "wb") as end:
            end.write(text.encode())
    except OSError as error:
        return (
            f"{STEP_SUMMARY} names {name}, which cannot be written ({error.strerror}); "
            "see summary.md instead."
        )
    return None


def verdict_line(result: RunResult) -> str:
    """All of it in one line."""
    verdicts = [s.verdict for s in result.scenarios]
    beside = {
        "failed": verdicts.count(Verdict.FAILED),
        "unknown": verdicts.count(Verdict.UNKNOWN),
        "not run": len(result.not_run),
        "goals never met": len(result.unmet),
    }
    counts = [f"{count} {word}" for word, count in beside.items() if count]
    passed = f"{result.overall.passed} of {result.overall.total} tests passed"
    return f"{SIGNS[result.verdict]} Fault tolerance: {', '.join([passed, *counts])}"


def _facts(result: RunResult) -> str:
    seeded = [f"seed {result.seed}"] if result.seed is not None else []
    where = [f"mode {result.mode}", f"topology {result.topology}", *seeded]
    versions = [f"{name} {version}" for name, version in result.versions.items()]
    facts = [f"Run {result.run_id}", *where, *versions]
    return markdown.paragraph(", ".join(facts)) + "."


def _bill(result: RunResult) -> str:
    billed, ideal, waste, possible, saved = totals(result)
    spared = f" Checkpoints saved {usd(saved)}." if saved else ""
    return (
        f"Billed {usd(billed)}, ideal {usd(ideal)}; waste {exact(waste)}, "
        f"possible waste {exact(possible)}.{spared}"
    )


def _rows(result: RunResult) -> list[list[str]]:
    numbered = [(s.number, _row(s)) for s in result.scenarios]
    numbered += [
        (n.number, [f"{NOT_RUN} not run", markdown.escaped(_name(n)), "", "", "", ""])
        for n in result.not_run
    ]
    return [row for _, row in sorted(numbered, key=lambda each: each[0])]


def _row(scenario: ScenarioResult) -> list[str]:
    passed = scenario.verdict is Verdict.PASSED
    word = str(scenario.verdict) if passed else f"**{scenario.verdict}**"
    tries = ", 2nd try" if scenario.first_tries else ""
    return [
        f"{SIGNS[scenario.verdict]} {word}{tries}",
        markdown.escaped(_name(scenario)),
        f"{scenario.duration_s:.1f} s",
        usd(scenario.cost_usd),
        exact(scenario.waste_usd),
        _recovery(scenario),
    ]


def _recovery(scenario: ScenarioResult) -> str:
    slowest, fault = scenario.recovery_s, scenario.fault
    if not slowest or not fault:
        return "-"
    return markdown.escaped(f"{slowest.total:.1f} s, {fault.kind} at {fault.target}")


def _name(row: ScenarioResult | NotRun) -> str:
    return f"{row.number}. {row.title}" if row.number else row.title


def _second_tries(result: RunResult) -> Iterator[str]:
    if lines := second_try_lines(result):
        yield markdown.bullets([markdown.escaped(line) for line in lines])


def _problems(result: RunResult) -> Iterator[str]:
    """A block for each scenario that did not pass, then how to run these again."""
    red = [s for s in result.scenarios if s.verdict is not Verdict.PASSED]
    if not red:
        return
    yield "### What did not pass"
    for scenario in red:
        lines = list(_problem_lines(scenario))
        count = f"{len(lines)} problem{'' if len(lines) == 1 else 's'}"
        title = f"{SIGNS[scenario.verdict]} {_name(scenario)}: {scenario.verdict}, {count}"
        content = markdown.bullets(lines[:_MOST_LINES])
        if len(lines) > _MOST_LINES:
            content += f"\n- … and {len(lines) - _MOST_LINES} more, in results.md"
        if len(lines) > _OPEN_LINES:
            yield markdown.folded(markdown.uncalled(html.escape(plain(title))), content)
        else:
            yield f"**{markdown.escaped(title)}**\n\n{content}"
    yield f"Run {'it' if len(red) == 1 else 'them'} again:"
    yield f"```sh\n{plain(again(result, not_passed(result)))}\n```"


def _goals(result: RunResult) -> Iterator[str]:
    if lines := goal_lines(result):
        yield markdown.bullets([markdown.escaped(line) for line in lines])


def _problem_lines(scenario: ScenarioResult) -> Iterator[str]:
    for case in scenario.cases:
        for check in broken(case):
            place = f"{markdown.escaped(case.name)}, {markdown.code(check.check)}"
            yield from (f"{place}: {markdown.escaped(text)}" for text in check.problems)


def _figures(result: RunResult) -> Iterator[str]:
    """What the cases measured of their own, folded."""
    if rows := figure_rows(result):
        cells = [[markdown.escaped(each) for each in row] for row in rows]
        head = (FIGURE_HEAD[0], FIGURE_HEAD[1], *(f"{each}:" for each in FIGURE_HEAD[2:]))
        yield markdown.folded(f"Measured: {len(rows)} figures", markdown.table(head, cells))


def _notices(result: RunResult) -> Iterator[str]:
    """The anti-patterns, folded: they change no verdict."""
    if lines := notice_lines(result):
        bullets = markdown.bullets([markdown.escaped(line) for line in lines[:_MOST_LINES]])
        yield markdown.folded(f"Notices: {len(lines)}", bullets)


def _absent(not_run: Sequence[NotRun]) -> Iterator[str]:
    if not_run:
        lines = [f"{markdown.code(n.name)}: {markdown.escaped(n.reason)}" for n in not_run]
        yield markdown.folded(f"Not run: {len(lines)}", markdown.bullets(lines))


def _whereabouts(result: RunResult, environment: Environment) -> str:
    """Where the whole report is; on GitHub, with a link to what the job keeps."""
    report = f"The full report is {markdown.code(_file(result, 'report.html'))}"
    server, repository, job = (
        environment.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")
    )
    if not (server and repository and job):
        return f"{report}."
    link = f"{server}/{repository}/actions/runs/{job}#artifacts"
    return f"{report}, among [what this job keeps]({link})."


def _file(result: RunResult, name: str) -> str:
    """As it stands in the folder of reports, and in what a job keeps of that."""
    return f"{result.run_id}/{name}"
