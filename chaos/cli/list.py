"""`list`: the scenarios, and all faults; or the headings of Temporal's guide."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any, get_args

from chaos.cli import Commands, add_parser
from chaos.cli.terminal import columns, put, say, say_all, width

if TYPE_CHECKING:
    from chaos.environment.target import Target
    from chaos.experiment.scenario import Scenario

_DESCRIPTION = """\
Lists the scenarios of this project's targets (named in its pyproject.toml), with their number of
cases and where they can run, and all faults; or the headings of Temporal's guide to pre-production
testing, with the name to run each by and what the first target lacks."""
_MORE = """\
examples:
  %(prog)s
  %(prog)s --json
  %(prog)s --guide"""


@dataclass(frozen=True)
class _Row:
    """A kind of fault, and what it does."""

    kind: str
    what: str
    family: str | None = None


def add(commands: Commands) -> None:
    """Register the command."""
    parser = add_parser(
        commands,
        "list",
        summary="list scenarios and faults",
        description=_DESCRIPTION,
        more=_MORE,
    )
    parser.add_argument("--json", action="store_true", help="for programs; also names each case")
    parser.add_argument(
        "--guide", action="store_true", help="the headings of Temporal's guide instead"
    )
    parser.set_defaults(command=_list)


def _list(given: argparse.Namespace) -> int:
    from chaos.cli.project import scenarios_here, targets_here

    if given.guide:
        return _list_guide(targets_here()[0], as_json=given.json)
    targets, scenarios = targets_here(), scenarios_here()
    groups = _groups(targets)
    if given.json:
        put(json.dumps(_as_data(scenarios, groups), indent=2))
        return 0
    head = ("No", "Name", "Title", "Cases", "Only")
    say("SCENARIOS")
    for line in columns([head, *(_row(scenario) for scenario in scenarios)]):
        say(line)
    for title, rows in groups.items():
        say()
        say(title.upper())
        for line in columns([_cells(row) for row in rows]):
            say(line)
    return 0


def _list_guide(target: Target, *, as_json: bool) -> int:
    """The headings: a scenario each, and what a target lacks for it."""
    from chaos.guide import HEADINGS

    rows = [
        {
            "title": heading.title,
            "name": heading.scenario_name if heading.make else None,
            "command": heading.command if heading.make else None,
            "watches": heading.watches,
            "missing": heading.why_not(target),
        }
        for heading in HEADINGS
    ]
    if as_json:
        put(json.dumps({"headings": rows}, indent=2))
        return 0
    head = ("Name", "Heading of the guide")
    for line in columns([head, *[(row["name"] or "-", row["title"] or "") for row in rows]]):
        say(line)
    say()
    say("Run all: temporal-chaos run --guide; one: temporal-chaos run NAME --guide")
    for why, lacking in _by_reason(rows).items():
        say()
        say_all(wrap(f"Not here: {', '.join(lacking)}: {why}.", width() or 100))
    return 0


def _by_reason(rows: Sequence[Mapping[str, str | None]]) -> dict[str, list[str]]:
    """The headings that cannot run, by why not."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if why := row["missing"]:
            found.setdefault(why, []).append(row["name"] or row["title"] or "")
    return found


def _row(scenario: Scenario) -> tuple[str, ...]:
    return (
        f"{scenario.number:>2}",
        scenario.name,
        scenario.title,
        f"{len(scenario.cases):>5}",
        _only(scenario),
    )


def _only(scenario: Scenario) -> str:
    """The modes and topologies of all its cases, unless these are all."""
    from chaos.environment.temporal import Topology
    from chaos.evidence.bills import Mode

    modes = {mode for case in scenario.cases for mode in case.modes}
    topologies = {topology for case in scenario.cases for topology in case.topologies}
    parts = [
        ", ".join(each for each in every if each in some) if some != set(every) else ""
        for some, every in ((modes, Mode), (topologies, Topology))
    ]
    return "; ".join(filter(None, parts))


def _groups(targets: Sequence[Target]) -> dict[str, list[_Row]]:
    """The faults of the harness and the targets, and what else the targets list."""
    from chaos.faults import Fault
    from chaos.network.toxics import AnyToxic

    toxics = get_args(get_args(AnyToxic)[0])
    own = [item for target in targets for item in target.listed.items()]
    return {
        "faults": [
            _Row(name, _first_sentence(kind), kind.family)
            for name, kind in sorted(Fault.kinds.items())
        ],
        "toxics of bad_network": [
            _Row(str(toxic.model_fields["type"].default), _first_sentence(toxic))
            for toxic in toxics
        ],
        **{title: [_Row(*each) for each in words.items()] for title, words in own},
    }


def _first_sentence(documented: type) -> str:
    text = " ".join((documented.__doc__ or "").replace("`", "").split())
    return text.partition(". ")[0].rstrip(".")


def _cells(row: _Row) -> tuple[str, ...]:
    return (row.kind, row.family, row.what) if row.family else (row.kind, row.what)


def _as_data(scenarios: Sequence[Scenario], groups: dict[str, list[_Row]]) -> dict[str, Any]:
    return {
        "scenarios": [
            {
                "number": scenario.number,
                "name": scenario.name,
                "title": scenario.title,
                "cases": [
                    {
                        "name": case.name,
                        "modes": sorted(case.modes),
                        "topologies": sorted(case.topologies),
                    }
                    for case in scenario.cases
                ],
            }
            for scenario in scenarios
        ],
        **{
            title.replace(" ", "_"): [asdict(row) for row in rows] for title, rows in groups.items()
        },
    }
