"""`run --on`: scenarios or seeds as a campaign. Nothing of it goes to pytest."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.cli import UnusableError, on
from chaos.cli.campaign_report import REPORTS
from chaos.plugin import options

if TYPE_CHECKING:
    from chaos.search.campaign.model import Scenarios, Seeds

_OF_SEEDS = ("faults", "duration", "workflows")


def is_asked(passed_on: Sequence[str]) -> bool:
    """Whether an option is one that only a campaign has."""
    own = {"--on", "--evidence", "--queue", "--keep", "--minutes"}
    return any(each.partition("=")[0] in own for each in passed_on)


def carry_out(scenarios: Sequence[str], passed_on: Sequence[str]) -> int:
    """Run it; the exit code. Raises UnusableError."""
    given = _read(scenarios, passed_on)
    if not on.is_campaign(given):
        raise UnusableError("--minutes is for a campaign: add --on HOST:PORT, or leave it out.")
    return on.carry_out(given, _seeds(given) if given.seed else _scenarios(given))


def _read(scenarios: Sequence[str], passed_on: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="temporal-chaos run", usage="%(prog)s --help", allow_abbrev=False, add_help=False
    )
    on.add_options(parser, with_minutes=True)
    parser.add_argument("scenarios", nargs="*")
    parser.add_argument("--seed", type=on.seeds)
    parser.add_argument("--faults", type=options.families, default=())
    parser.add_argument("--duration", type=options.duration_seconds)
    parser.add_argument("--workflows", type=options.count)
    parser.add_argument("--reports", type=Path, default=REPORTS)
    given, unknown = parser.parse_known_args(passed_on)
    if unknown:
        raise UnusableError(
            f"{unknown[0]} means nothing with --on: a campaign has names of scenarios, or --seed, "
            "--faults, --duration and --workflows, and --reports."
        )
    given.scenarios = [*scenarios, *given.scenarios]
    return given


def _seeds(given: argparse.Namespace) -> Seeds:
    from chaos.cli.project import targets_here
    from chaos.search.campaign.model import ENDLESS_DURATION_SECONDS, ENDLESS_WORKFLOWS, Seeds
    from chaos.search.draw import Wishes, draw
    from chaos.search.schedule import ScheduleError

    first, last = given.seed
    if given.scenarios:
        raise UnusableError("--seed is instead of scenarios: give either.")
    if last is None and given.minutes is None:
        raise UnusableError(f"--seed {first}- is endless: add --minutes N, or give a last seed.")
    usual = (
        (ENDLESS_DURATION_SECONDS, ENDLESS_WORKFLOWS)
        if last is None
        else (options.DEFAULT_DURATION_SECONDS, options.DEFAULT_SEEDED_WORKFLOWS)
    )
    duration, workflows = given.duration or usual[0], given.workflows or usual[1]
    try:
        draw(first, Wishes(given.faults, duration, workflows), targets_here()[0])
    except ScheduleError as error:
        raise UnusableError(str(error)) from None
    return Seeds(
        first=first,
        last=last,
        families=given.faults,
        duration_seconds=duration,
        workflows=workflows,
    )


def _scenarios(given: argparse.Namespace) -> Scenarios:
    from chaos.cli.project import scenarios_here
    from chaos.cli.selection import no_such
    from chaos.search.campaign.model import Scenarios

    for name in _OF_SEEDS:
        if getattr(given, name):
            raise UnusableError(f"--{name} needs --seed here.")
    known = sorted(each.name for each in scenarios_here())
    for name in given.scenarios:
        if name not in known:
            raise UnusableError(no_such(name, known))
    return Scenarios(names=tuple(given.scenarios))
