"""A recheck for people and for tools: lines for a terminal, `recheck.json` and `recheck.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos.evidence.files import write_file
from chaos.report.markdown import bullets, escaped, paragraph
from chaos.report.recheck.compare import Difference, Recheck
from chaos.report.table import (
    cost_table_lines,
    goal_lines,
    not_run_lines,
    overall_line,
    problem_lines,
    table_lines,
    topology_lines,
)


def terminal_lines(found: Recheck) -> list[str]:
    """The table with today's verdicts, and what has changed."""
    shown = [_title(found), *topology_lines(found.result), *table_lines(found.result)]
    for title, lines in _sections(found).items():
        shown += ["", f"{title}:", *(f"  {line}" for line in lines)]
    return [*shown, "", _conclusion(found), overall_line(found.result)]


def write_recheck(found: Recheck, folder: Path) -> None:
    """Write both files into the run's folder. Raises OSError."""
    write_file(folder / "recheck.json", found.model_dump_json(by_alias=True, indent=2) + "\n")
    write_file(folder / "recheck.md", _markdown(found))


def _markdown(found: Recheck) -> str:
    parts = [f"# {escaped(_title(found))}", *map(paragraph, topology_lines(found.result))]
    parts += ["\n".join(table_lines(found.result, escaped))]
    parts += [paragraph(_conclusion(found)), paragraph(overall_line(found.result))]
    for title, lines in _sections(found).items():
        parts += [f"## {title}", bullets([escaped(line) for line in lines])]
    parts += ["## Cost, by the bills", "\n".join(cost_table_lines(found.result, escaped))]
    return "\n\n".join(parts) + "\n"


def _title(found: Recheck) -> str:
    return f"Run {found.result.run_id} ({found.result.mode}), judged again from its evidence"


def _sections(found: Recheck) -> Mapping[str, Sequence[str]]:
    """The lists that are not empty, by their titles."""
    changed = {f"{d.scenario}/{d.case}: {d.check}: " for d in found.differences if d.check}
    as_recorded = [
        line for line in problem_lines(found.result) if not line.startswith(tuple(changed))
    ]
    lists = {
        "What differs from the record": [_difference_line(each) for each in found.differences],
        "What did not pass, as recorded": as_recorded,
        "Goals that no case has met": goal_lines(found.result),
        "What could not be repeated": found.not_repeated,
        "Notes": [*not_run_lines(found.result), *found.notes],
    }
    return {title: lines for title, lines in lists.items() if lines}


def _difference_line(found: Difference) -> str:
    place = f"{found.scenario}/{found.case}" if found.case else found.scenario
    then = f"recorded as {found.recorded}" if found.recorded else "not recorded"
    what = "" if found.what == "verdict" else f"{found.what} "
    change = f"{what}{then}, now {found.now or 'missing'}"
    named = [place, *([found.check] if found.check else []), change]
    return ": ".join([*named, *(["; ".join(found.problems)] if found.problems else [])])


def _conclusion(found: Recheck) -> str:
    if not found.result.scenarios:
        return "The run has no scenario that ran, so nothing was proven."
    if found.differences:
        return "Today's results differ from the recorded ones."
    if found.passed and found.recorded_passed:
        return "Every verdict is as recorded, and all passed."
    return "Every verdict is as recorded, and not all passed."
