"""`list`: the scenarios, and the faults that they are made of."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, get_args

from chaos.cli import Commands, add_parser
from chaos.cli.terminal import columns, put, say

if TYPE_CHECKING:
    from chaos.experiment.scenario import Scenario

_DESCRIPTION = """\
Lists the scenarios, with the number of their cases and where these can run, and the faults
that there are."""
_MORE = """\
examples:
  %(prog)s
  %(prog)s --json"""

_RULES = {
    "delay": "the reply comes later",
    "status": "a reply of any status, headers and body",
    "hang": "no answer until the client leaves",
    "reset": "the connection is reset without an answer",
    "reset_body": "half of the true body, then a reset",
    "truncated": "half of the true body, then a regular close",
    "malformed": "200 and a JSON body that is none",
    "empty": "200 without a body",
    "html": "200 and a web page",
    "rai_filtered": "the safety filter keeps the result back",
    "failed_operation": "the video's operation will end in an error",
    "large": "the true reply, and more that carries nothing",
    "undelivered": "the video is billed and done, without a video or an error",
    "expired": "the video is billed, and not found any more once it is done",
    "inline": "the reply to a poll carries the video itself",
    "drafts": "the true image comes last, behind a thought and a draft",
    "redirect": "the same is to be had at another host, which refuses the key",
}
"""`tests.chaos.video.fake_api.rules.FaultKind` in a line each."""


@dataclass(frozen=True)
class _Row:
    """A kind of fault, and what it does."""

    kind: str
    what: str
    family: str | None = None


def add(commands: Commands) -> None:
    """Make it known."""
    parser = add_parser(
        commands,
        "list",
        summary="list scenarios and faults",
        description=_DESCRIPTION,
        more=_MORE,
    )
    parser.add_argument("--json", action="store_true", help="for programs: with all cases")
    parser.set_defaults(command=_list)


def _list(given: argparse.Namespace) -> int:
    from tests.chaos.video.scenarios.catalogue import all_scenarios  # noqa: PLC0415 - see the package

    scenarios, groups = all_scenarios(), _groups()
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


def _row(scenario: Scenario) -> tuple[str, ...]:
    return (
        f"{scenario.number:>2}",
        scenario.name,
        scenario.title,
        f"{len(scenario.cases):>5}",
        _only(scenario),
    )


def _only(scenario: Scenario) -> str:
    """The modes and topologies of all its cases, where these are not all that there are."""
    from chaos.environment.temporal import Topology  # noqa: PLC0415 - likewise
    from chaos.evidence.bills import Mode  # noqa: PLC0415 - see the package's docstring

    modes = {mode for case in scenario.cases for mode in case.modes}
    topologies = {topology for case in scenario.cases for topology in case.topologies}
    parts = [
        ", ".join(each for each in every if each in some) if some != set(every) else ""
        for some, every in ((modes, Mode), (topologies, Topology))
    ]
    return "; ".join(filter(None, parts))


def _groups() -> dict[str, list[_Row]]:
    from chaos import faults  # noqa: PLC0415 - see the package's docstring
    from chaos.network.toxics import AnyToxic  # noqa: PLC0415 - likewise
    from tests.chaos.video.fake_api.rules import FaultKind  # noqa: PLC0415 - likewise

    exported = [getattr(faults, name) for name in faults.__all__]
    kinds = [c for c in exported if isinstance(c, type) and issubclass(c, faults.Fault)]
    toxics = get_args(get_args(AnyToxic)[0])
    return {
        "faults": [
            _Row(_type(kind), _first_sentence(kind), kind.family)
            for kind in kinds
            if kind is not faults.Fault
        ],
        "toxics of bad_network": [_Row(_type(toxic), _first_sentence(toxic)) for toxic in toxics],
        "rules of bad_api": [_Row(kind, _RULES[kind]) for kind in FaultKind],
    }


def _type(model: Any) -> str:
    return str(model.model_fields["type"].default)


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
