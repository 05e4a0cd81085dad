"""`--on`: the commands of a search as a campaign, spread over the machines of a control cluster."""

from __future__ import annotations

import argparse
import asyncio
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.cli import INTERRUPTED, UnusableError
from chaos.cli.terminal import say_if_read
from chaos.evidence.numbers import is_whole, minutes, quoted, whole
from chaos.process.streams import complain

if TYPE_CHECKING:
    from chaos.search.campaign.model import Campaign, Work

_MOST_TIMES = 1_000
_KEEP = ("all", "failures")
_NEED_ON = ("evidence", "queue", "keep", "times")


def add_options(
    parser: argparse.ArgumentParser, *, with_times: bool = False, with_minutes: bool = False
) -> None:
    """Declare the options of a campaign."""
    add = parser.add_argument_group("on many machines, as a campaign").add_argument
    add(
        "--on",
        metavar="HOST:PORT",
        help="the Temporal server that spreads the cases over all machines that run "
        "temporal-chaos worker; the TEMPORAL_* variables say how to connect to it",
    )
    add(
        "--evidence",
        metavar="URL",
        help="where the evidence goes: a folder that all machines share, or an object store such "
        "as s3://BUCKET/FOLDER; needed with --on",
    )
    add("--queue", metavar="NAME", help="whose machines (default: temporal-chaos)")
    add(
        "--keep",
        choices=_KEEP,
        help="of which cases the evidence is kept; of the others the verdict alone is "
        "(default: all)",
    )
    if with_times:
        add(
            "--times",
            type=whole(1, _MOST_TIMES),
            metavar="N",
            help="how often each crash point is tried (default: 1)",
        )
    if with_minutes:
        add("--minutes", type=minutes, metavar="N", help="begin no case after this many minutes")


def is_campaign(given: argparse.Namespace, meaningless: Mapping[str, str] | None = None) -> bool:
    """Whether it is to be a campaign. `meaningless` are the options that say nothing there, by
    where their values are, and why. Raises UnusableError where options do not go together.
    """
    if given.on is None:
        for name in _NEED_ON:
            if getattr(given, name, None) is not None:
                raise UnusableError(
                    f"--{name} is for a campaign: add --on HOST:PORT, or leave it out."
                )
        return False
    if given.evidence is None:
        raise UnusableError(
            "--on needs --evidence: a folder that all machines share, or an object store such as "
            "s3://BUCKET/FOLDER."
        )
    for name, why in (meaningless or {}).items():
        if getattr(given, name, None):
            option = name.replace("_", "-")
            raise UnusableError(f"--{option} means nothing with --on: {why}; leave it out.")
    return True


@dataclass
class _Following:
    """What this command has started, and what of that `goes_on`."""

    given: argparse.Namespace
    work: Work
    goes_on: list[Campaign] = field(default_factory=list)

    async def carry_out(self) -> Campaign:
        """Start it, and follow it to its end."""
        from chaos.search.campaign.client import Control
        from chaos.search.campaign.store import Store

        address = Store.open(self.given.evidence).address
        make = self._made(address)
        control = await Control.connect(self.given.on)
        campaign = await control.start(make, lambda each: Store.open(address, each))
        self.goes_on.append(campaign)
        say_if_read(f"{campaign.campaign_id} began; its evidence goes to {address}")
        await control.follow(campaign, say_if_read)
        self.goes_on.clear()
        return campaign

    def _made(self, evidence: str) -> Callable[[str], Campaign]:
        """What makes it, for any id. Raises CatalogueError, CodeError, UnusableError."""
        from chaos.experiment.catalogue import project_of
        from chaos.search.campaign.code import code_of
        from chaos.search.campaign.model import QUEUE, Campaign, Keep

        given, project = self.given, project_of(Path.cwd())
        target = self._target(project)
        code = code_of(project)
        return lambda campaign_id: Campaign(
            campaign_id=campaign_id,
            target=target,
            code=code,
            evidence=evidence,
            work=self.work,
            queue=given.queue or QUEUE,
            keep=Keep(given.keep or Keep.ALL),
            minutes=given.minutes,
        )

    def _target(self, project: Path) -> str:
        """By its name, as the project may name another one first tomorrow; empty for scenarios,
        which may be of all targets. Raises CatalogueError, UnusableError.
        """
        from chaos.experiment.catalogue import CatalogueError, target_names
        from chaos.search.campaign.model import Scenarios

        if isinstance(self.work, Scenarios):
            return ""
        names = target_names(project)
        target: str = getattr(self.given, "target", None) or names[0]
        if target not in names:
            raise CatalogueError(
                f"no worker serves the target {target!r}: add it to [tool.chaos] targets in "
                f"{project / 'pyproject.toml'}, which every machine has."
            )
        _require_own_workers(target, project)
        return target


def _require_own_workers(name: str, project: Path) -> None:
    """Each machine starts the workers of a target. Raises UnusableError where they are there
    already, CatalogueError.
    """
    from chaos.environment.target import THERE_ALREADY
    from chaos.experiment.catalogue import target_named

    if target_named(name, project).has_workers_already:
        raise UnusableError(
            f"no campaign can have the target {name}: {THERE_ALREADY}. Name Target.worker, so that "
            "each machine can start its own."
        )


def carry_out(given: argparse.Namespace, work: Work) -> int:
    """Start a campaign, follow it to its end, and write its report; the exit code. Raises
    UnusableError.
    """
    from chaos.cli.campaign_report import write
    from chaos.environment.external import ExternalError
    from chaos.experiment.catalogue import CatalogueError
    from chaos.report.campaign.reading import CampaignError
    from chaos.search.campaign.client import ControlError
    from chaos.search.campaign.code import CodeError
    from chaos.search.campaign.store import Store, StoreError

    following = _Following(given, work)
    try:
        campaign = asyncio.run(following.carry_out())
        return write(Store.open(campaign.evidence, campaign.campaign_id), given.reports)
    except KeyboardInterrupt:
        for each in following.goes_on:
            complain(still_running(each.campaign_id, given.on))
        return INTERRUPTED
    except (CampaignError, CatalogueError, CodeError, ExternalError, StoreError) as error:
        raise UnusableError(str(error)) from None
    except ControlError as error:
        for each in following.goes_on:
            complain(f"what it found so far: {report_command(each)}")
        raise UnusableError(str(error)) from None


def report_command(campaign: Campaign) -> str:
    """What writes its report."""
    place = shlex.quote(f"{campaign.evidence}/{campaign.campaign_id}")
    return f"temporal-chaos campaign report {place}"


def still_running(campaign_id: str, on: str | None) -> str:
    """What somebody must know who no longer follows a campaign."""
    where = f" --on {on}" if on else ""
    return (
        f"{campaign_id} goes on without this command; temporal-chaos campaign stop "
        f"{campaign_id}{where} stops it, and follow instead of stop follows it again."
    )


def seeds(text: str) -> tuple[int, int | None]:
    """The first and the last seed of a campaign; without a last one it is endless. Raises
    ArgumentTypeError.
    """
    first, dash, last = text.partition("-")
    is_right = is_whole(first) and (not last or (dash and is_whole(last)))
    if not is_right or (last and int(last) < int(first)):
        raise argparse.ArgumentTypeError(
            f"must be a seed such as 7, a range such as 1-1000, or 1- for an endless campaign, not "
            f"{quoted(text)}"
        )
    return int(first), int(last) if last else None if dash else int(first)
