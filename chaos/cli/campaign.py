"""`campaign`: what a campaign is doing, and telling it what to do."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from chaos.cli import INTERRUPTED, Commands, UnusableError, add_parser, campaign_report
from chaos.cli.on import report_command, still_running
from chaos.cli.terminal import columns, say, say_all, say_if_read
from chaos.evidence.numbers import minutes
from chaos.process.streams import complain

if TYPE_CHECKING:
    from chaos.search.campaign.client import Control

_DESCRIPTION = """\
Campaigns are searches that explore, probe and run spread over many machines with --on. They are
workflows of a control cluster: each goes on whether anybody follows it or not."""
_MORE = """\
examples:
  %(prog)s list --on localhost:7233
  %(prog)s status campaign-2026-01-01T00-00-00Z
  %(prog)s budget campaign-2026-01-01T00-00-00Z 10

Without --on the TEMPORAL_* variables and their file name the control cluster.

exit code:
  0    done; of report: the campaign passed
  1    of report: something failed, is unknown, or is missing
  2    there is no such campaign, or the control cluster cannot be reached
  130  Ctrl-C"""

_Does = Callable[["Control", argparse.Namespace], Awaitable[None]]


def add(commands: Commands) -> None:
    """Register the command, and those below it."""
    parser = add_parser(
        commands,
        "campaign",
        summary="look at campaigns on many machines, and steer them",
        description=_DESCRIPTION,
        more=_MORE,
    )
    actions = parser.add_subparsers(title="what to do", metavar="WHAT", required=True)
    _add(actions, "list", "name all that the control cluster knows", _list, of_one=False)
    _add(actions, "status", "how far it is, and which machines it has", _status)
    _add(actions, "follow", "tell each verdict from now on, until it ends", _follow)
    _add(actions, "pause", "begin no more cases; those that run end", _pause)
    _add(actions, "resume", "go on after a pause", _resume)
    _add(actions, "stop", "end it now; cases that run are cancelled", _stop)
    budget = _add(actions, "budget", "begin no more cases after so many minutes", _budget)
    budget.add_argument(
        "minutes",
        nargs="?",
        type=minutes,
        metavar="MINUTES",
        help="from now on, without pauses (default: as long as it takes)",
    )
    campaign_report.add(actions)


def _add(
    actions: Commands, name: str, summary: str, does: _Does, *, of_one: bool = True
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary}.", allow_abbrev=False)
    if of_one:
        parser.add_argument("campaign", metavar="ID", help="as its command and list print it")
    parser.add_argument(
        "--on",
        metavar="HOST:PORT",
        help="the control cluster (default: that of the TEMPORAL_* variables)",
    )
    parser.set_defaults(command=_carry_out, does=does)
    return parser


def _carry_out(given: argparse.Namespace) -> int:
    from chaos.environment.external import ExternalError
    from chaos.search.campaign.client import Control, ControlError

    async def does() -> None:
        await given.does(await Control.connect(given.on), given)

    try:
        asyncio.run(does())
    except KeyboardInterrupt:
        if given.does is _follow:
            complain(still_running(given.campaign, given.on))
        return INTERRUPTED
    except (ControlError, ExternalError) as error:
        raise UnusableError(str(error)) from None
    return 0


async def _list(control: Control, given: argparse.Namespace) -> None:
    del given
    found = await control.campaigns()
    if not found:
        say("There are no campaigns.")
        return
    rows = [
        (
            each.id,
            each.status.name.lower() if each.status else "",
            f"{each.start_time:%Y-%m-%d %H:%M}",
        )
        for each in found
    ]
    say_all(columns([("Campaign", "Workflow", "Began (UTC)"), *rows]))


async def _status(control: Control, given: argparse.Namespace) -> None:
    from chaos.search.campaign.lines import status_lines
    from chaos.search.campaign.pending import pending_lines, pending_of

    campaign, described = await control.describe(given.campaign)
    say_all(status_lines(campaign, await control.progress(campaign)))
    say_all(pending_lines(await pending_of(described, control.client.data_converter)))


async def _follow(control: Control, given: argparse.Namespace) -> None:
    from chaos.search.campaign.lines import end_lines, status_lines

    campaign, _ = await control.describe(given.campaign)
    progress = await control.progress(campaign)
    say_all(status_lines(campaign, progress))
    say_all(end_lines(await control.follow(campaign, say_if_read, since=progress.seen)))
    say(f"Report: {report_command(campaign)}")


async def _pause(control: Control, given: argparse.Namespace) -> None:
    from chaos.search.campaign.names import PAUSE

    await control.tell(given.campaign, PAUSE)
    say(f"{given.campaign} begins no more cases until it is resumed.")


async def _resume(control: Control, given: argparse.Namespace) -> None:
    from chaos.search.campaign.names import RESUME

    await control.tell(given.campaign, RESUME)
    say(f"{given.campaign} goes on.")


async def _stop(control: Control, given: argparse.Namespace) -> None:
    from chaos.search.campaign.names import STOP

    await control.tell(given.campaign, STOP)
    say(f"{given.campaign} ends now; what it found stays where its evidence is.")


async def _budget(control: Control, given: argparse.Namespace) -> None:
    from chaos.search.campaign.names import BUDGET

    await control.tell(given.campaign, BUDGET, given.minutes)
    limit = f"for {given.minutes:g} minutes from now on" if given.minutes else "as long as it takes"
    say(f"{given.campaign} begins cases {limit}.")
