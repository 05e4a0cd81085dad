"""`worker`: this machine takes cases of campaigns."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.cli import INTERRUPTED, UNUSABLE, Commands, add_parser
from chaos.cli.terminal import say_if_read
from chaos.evidence.numbers import whole
from chaos.process.streams import complain

if TYPE_CHECKING:
    from chaos.process.reaper import Reaper
    from chaos.search.campaign.worker import Offer

_DESCRIPTION = """\
Takes cases of campaigns, which explore, probe and run start with --on. Call it in the folder of the
project, on each machine that is to help; the project must have the same code as where the campaign
was started. It takes one more case when the machine has room for it. What it runs when it ends, or
is killed, runs again elsewhere."""
_MORE = """\
examples:
  %(prog)s --on temporal.example:7233
  %(prog)s --on localhost:7233 --at-most 2

A namespace, TLS and an API key come from the standard variables of Temporal's
SDKs, or the file that TEMPORAL_CONFIG_FILE names. Evidence goes where the
campaign says; an object store's keys are read from its own variables.

exit code:
  0    SIGTERM; what ran was handed back
  2    it cannot serve, or the project's code has changed: start it again
  130  Ctrl-C; what ran was handed back"""


def add(commands: Commands) -> None:
    """Register the command."""
    parser = add_parser(
        commands,
        "worker",
        summary="take cases of campaigns on this machine",
        description=_DESCRIPTION,
        more=_MORE,
    )
    add = parser.add_argument
    add(
        "--on",
        required=True,
        metavar="HOST:PORT",
        help="the Temporal server that campaigns are started on",
    )
    add("--queue", metavar="NAME", help="as for the campaign (default: temporal-chaos)")
    add(
        "--at-most",
        type=whole(1),
        metavar="N",
        help="cases at once (default: 12 for each processor that it may use)",
    )
    add("--temporal-cli", type=Path, metavar="PATH", help="default: found or installed")
    parser.set_defaults(command=_worker)


def _worker(given: argparse.Namespace) -> int:
    from chaos.environment.external import ExternalError
    from chaos.experiment.catalogue import CatalogueError
    from chaos.process.programs import BadBinaryError, BinaryNotFoundError
    from chaos.process.reaper import Reaper
    from chaos.search.campaign.code import CodeError
    from chaos.search.campaign.parts import parts
    from chaos.search.campaign.worker import ChangedError, serve

    unusable = (CatalogueError, CodeError, BadBinaryError, BinaryNotFoundError)
    try:
        with Reaper() as reaper:
            offer = _offer(given, reaper)
            say_if_read(str(offer))
            ended_by = asyncio.run(serve(offer, parts(), reaper))
    except (*unusable, ChangedError, ExternalError) as error:
        complain(f"worker: {error}")
        return UNUSABLE
    return INTERRUPTED if ended_by is signal.SIGINT else 0


def _offer(given: argparse.Namespace, reaper: Reaper) -> Offer:
    """What it serves. Raises CatalogueError, CodeError, ExternalError, BadBinaryError,
    BinaryNotFoundError.
    """
    from chaos.environment.external import Connection
    from chaos.experiment.catalogue import project_of, required_targets, target_names
    from chaos.process.programs import find_temporal_cli
    from chaos.search.campaign.code import code_of
    from chaos.search.campaign.headroom import slots_by_default
    from chaos.search.campaign.model import QUEUE
    from chaos.search.campaign.worker import Offer

    project = project_of(Path.cwd())
    targets = required_targets(project)
    return Offer(
        connection=Connection.load().at(given.on, "--on"),
        queue=given.queue or QUEUE,
        project=project,
        targets=dict(zip(target_names(project), targets, strict=True)),
        code=code_of(project),
        slots=given.at_most or slots_by_default(),
        cli=find_temporal_cli(
            given.temporal_cli, announce=say_if_read, environment=reaper.environment
        ),
        say=say_if_read,
    )
