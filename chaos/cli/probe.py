"""`probe`: what of a workflow is lost, stuck, different or done twice when its worker dies."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.cli import INTERRUPTED, NEGATIVE, UNUSABLE, Commands, add_parser, on
from chaos.cli.terminal import OutputError, say_all, say_if_read
from chaos.evidence.numbers import minutes, port, quoted, whole
from chaos.process.streams import complain, give_up

if TYPE_CHECKING:
    from chaos.environment.target import Target
    from chaos.search.crash.points import Action
    from chaos.search.probe.plan import Choice
    from chaos.search.probe.run import Probing
    from chaos.wire.boundary import Boundary

_MOST_LANES = 64
_ACTIONS = ("kill", "drop")
_PATIENCE_SECONDS = 90  # chaos.search.probe.run says why; to import it here takes too long

_NO_COMMANDS = "a campaign carries no commands to other machines"
_MEANINGLESS = {
    "lanes": "each machine runs as many cases as it has room for",
    "temporal_cli": "each machine has its own",
    **dict.fromkeys(
        (
            *("worker", "task_queue", "workflow", "input", "service", "env", "port"),
            *("ready_line", "like", "address", "namespace"),
        ),
        f"{_NO_COMMANDS}, give --target and --spec",
    ),
}
"""Options that say nothing of a campaign."""

_FIXED_PORT = (
    "\nIf the worker connects to a fixed port instead of TEMPORAL_ADDRESS, give it by --port, "
    "such as --port 7233."
)

_DESCRIPTION = """\
Starts your worker, in any language, and runs a workflow on it: twice undisturbed, then once for
each crash point, where the worker is killed or the server's reply to it is lost. The report says
how each run ended: survived, lost, stuck, other result, not deterministic, done twice. Everything
runs on this machine, with a Temporal server of its own. Services are started too: use test
doubles. No code is needed."""
_MORE = """\
examples:
  %(prog)s --worker 'npm start' --task-queue orders \\
    --workflow Order --input '{"order_id": "{id}", "amount_cents": 4990}' \\
    --service 'PAYMENTS_URL=python doubles.py {port} {evidence}/charges.jsonl'
  %(prog)s --worker 'go run .' --env HOME --like order-7
  %(prog)s --target tests.shop:SHOP --spec order
  %(prog)s --target tests.shop:SHOP --spec order \\
    --on localhost:7233 --evidence s3://bucket/chaos

A worker gets its server's address in TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE;
if yours always connects to localhost:7233, add --port 7233.

exit code:
  0    the workflow survived every crash point that was tried
  1    somewhere it was lost, stuck, different, failed or not deterministic, or
       did something twice that the service cannot detect; or no point was hit
  2    it cannot start: something is missing or wrong, or the workflow does not
       end even undisturbed
  130  Ctrl-C; the results so far are kept, and the page is written"""


def add(commands: Commands) -> None:
    """Register the command."""
    parser = add_parser(
        commands,
        "probe",
        summary="kill any worker at every boundary of a workflow, without code",
        description=_DESCRIPTION,
        more=_MORE,
    )
    _add_system(parser)
    _add_choice(parser)
    on.add_options(parser)
    parser.set_defaults(command=_probe)


def _add_system(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what is probed").add_argument
    add("--worker", default="", metavar="COMMAND", help="the command that starts a worker")
    add("--task-queue", default="", metavar="NAME", help="the task queue that it polls")
    add("--workflow", default="", metavar="TYPE", help="the workflow's type")
    add(
        "--input",
        action="append",
        default=[],
        metavar="JSON",
        help="an argument of the workflow; {id} stands for the workflow's id; repeatable",
    )
    add(
        "--service",
        action="append",
        default=[],
        metavar="VARIABLE=COMMAND",
        help="a service that the worker calls, and the variable that gets its address; the "
        "command may contain {port} and {evidence}; repeatable",
    )
    add(
        "--env",
        action="append",
        default=[],
        metavar="NAME",
        help="an environment variable to pass on to the worker, such as HOME; repeatable",
    )
    add(
        "--cwd",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="the worker's working folder (default: here)",
    )
    add(
        "--port", type=port, metavar="N", help="the fixed port at which the worker expects Temporal"
    )
    add(
        "--ready-line",
        default="",
        metavar="REGEX",
        help="the worker is ready when its log has a line that matches",
    )
    add(
        "--like",
        default="",
        metavar="ID",
        help="take type, task queue and input from this workflow",
    )
    add(
        "--address",
        default="",
        metavar="HOST:PORT",
        help="the server that has it (default: localhost:7233)",
    )
    add("--namespace", default="", metavar="NAME", help="the namespace that has it")
    add(
        "--target",
        default="",
        metavar="MODULE:NAME",
        help="a project's target instead of the above",
    )
    add("--spec", default="", metavar="NAME", help="one of the target's specs")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("how much").add_argument
    add(
        "--sample",
        type=whole(1),
        metavar="N",
        help="at most this many points, spread over all kinds",
    )
    add("--minutes", type=minutes, metavar="N", help="start no point after this many minutes")
    add("--lanes", type=whole(1, _MOST_LANES), metavar="N", help="workers that run side by side")
    add(
        "--patience",
        type=whole(1, 3600),
        default=_PATIENCE_SECONDS,
        metavar="SECONDS",
        help=f"a workflow without progress for this long is stuck (default: {_PATIENCE_SECONDS})",
    )
    add(
        "--at",
        action="append",
        default=[],
        metavar="BOUNDARY",
        help="only at this boundary; repeatable",
    )
    add("--action", choices=_ACTIONS, action="append", default=[], help="only that")
    add("--reports", type=Path, default=Path("reports"), metavar="FOLDER", help="default: reports")
    add("--temporal-cli", type=Path, metavar="PATH", help="default: found or installed")


def _probe(given: argparse.Namespace) -> int:
    from chaos.evidence.files import NoFolderError
    from chaos.experiment.catalogue import CatalogueError
    from chaos.process.child import ChildError
    from chaos.process.programs import BadBinaryError, BinaryNotFoundError
    from chaos.process.waiting import DeadlineExceededError
    from chaos.search.probe.baseline import NoBaselineError
    from chaos.search.probe.given import GivenError
    from chaos.wire.boundary import BoundaryError
    from chaos.wire.specs import WireError

    unusable = (BadBinaryError, BinaryNotFoundError, WireError)
    wrong = (BoundaryError, CatalogueError, GivenError, NoBaselineError, NoFolderError)
    try:
        if on.is_campaign(given, _MEANINGLESS):
            return _probe_on(given)
        target = _target(given)
        return _run(given, target, _choice(given))
    except (ChildError, DeadlineExceededError) as error:
        complain(f"probe: {error}{_FIXED_PORT if given.worker and not given.port else ''}")
    except (*unusable, *wrong) as error:
        complain(f"probe: {error}")
    except OSError as error:
        complain(f"probe: {error.strerror} ({error.filename}); make room, then try again.")
    return UNUSABLE


def _target(given: argparse.Namespace) -> Target:
    """The target to probe, with one spec. Raises GivenError, CatalogueError."""
    from chaos.experiment.catalogue import project_of, target_named
    from chaos.search.probe.given import (
        Given,
        GivenError,
        of_target,
        run_like,
    )

    if given.target:
        if given.worker:
            raise GivenError("--target has a worker of its own: leave out --worker.")
        return of_target(target_named(given.target, project_of(Path.cwd())), given.spec)
    if not given.worker:
        Given().target()  # raises: that is what to begin with
    if not given.cwd.is_dir():
        raise GivenError(f"--cwd {quoted(str(given.cwd))} is no folder.")
    like = None
    if given.like:
        like = asyncio.run(run_like(given.like, given.address, given.namespace))
    return Given(
        worker=given.worker,
        task_queue=given.task_queue,
        workflow=given.workflow,
        inputs=given.input,
        services=given.service,
        variables=given.env,
        ready_line=given.ready_line,
        cwd=given.cwd,
        port=given.port,
        like=like,
    ).target()


def _probe_on(given: argparse.Namespace) -> int:
    """The same as a campaign. Raises GivenError, CatalogueError, BoundaryError."""
    from chaos.search.campaign.model import Probe
    from chaos.search.probe.given import GivenError

    if not given.target:
        raise GivenError(f"--on needs --target MODULE:NAME and --spec NAME: {_NO_COMMANDS}.")
    (spec,) = _target(given).specs
    choice = _choice(given)
    work = Probe(
        spec=spec,
        at=tuple(map(str, choice.at)),
        actions=tuple(map(str, choice.actions)),
        sample=choice.sample,
        patience_seconds=float(given.patience),
    )
    return on.carry_out(given, work)


def _choice(given: argparse.Namespace) -> Choice:
    """The chosen points. Raises BoundaryError."""
    from chaos.search.crash.points import Action
    from chaos.search.probe.plan import Choice
    from chaos.wire.boundary import Boundary

    at: Sequence[Boundary] = tuple(map(Boundary.parse, given.at))
    actions: Sequence[Action] = tuple(map(Action, given.action or _ACTIONS))
    return Choice(at=at, actions=actions, sample=given.sample)


def _run(given: argparse.Namespace, target: Target, choice: Choice) -> int:
    from chaos.evidence.files import new_folder
    from chaos.search.crash.lanes import means_for
    from chaos.search.probe.run import PREFIX, Probing, Wanted

    (spec,) = target.specs
    with means_for(
        target,
        say_if_read,
        temporal_cli=given.temporal_cli,
        lanes=given.lanes,
        minutes=given.minutes,
    ) as means:
        wanted = Wanted(spec, command_of(given), choice, float(given.patience))
        folder = new_folder(given.reports.absolute(), PREFIX)
        probing = Probing(folder, wanted, means, notes_on(given))
        say_if_read(f"probing into {probing.folder}")
        try:
            asyncio.run(probing.run())
        except KeyboardInterrupt:
            _report(probing)
            return INTERRUPTED
        except BaseException:
            with suppress(OSError):
                _report(probing)
            raise
    return 0 if _report(probing) else NEGATIVE


def notes_on(given: argparse.Namespace) -> Sequence[str]:
    """A warning about the input, for the reports."""
    from chaos.search.probe.given import ID

    if not given.input or any(ID in text for text in given.input):
        return ()
    shared = f"The input has no {ID}: each run sees the data that earlier runs left."
    return (shared,)


def _report(probing: Probing) -> bool:
    """Write the reports, and print a summary; whether everything passed. Raises OSError."""
    from chaos.report.probed import terminal_lines, write_reports

    record = probing.record()
    if not record.undisturbed:
        return False
    page = write_reports(probing.folder, record)
    try:
        say_all(("", *terminal_lines(record), f"Report: {page}"))
    except (OSError, OutputError):
        give_up(sys.stdout)
    return record.is_fine


_OF_THE_SYSTEM = (
    "worker",
    "task_queue",
    "workflow",
    "input",
    "service",
    "env",
    "cwd",
    "port",
    "ready_line",
    "like",
    "address",
    "namespace",
    "target",
    "spec",
)


def command_of(given: argparse.Namespace) -> str:
    """The command line, quoted for a shell, without the options that choose points."""
    words = ["temporal-chaos", "probe"]
    for name in _OF_THE_SYSTEM:
        value = getattr(given, name)
        for each in value if isinstance(value, list) else [value]:
            if each not in {"", None, Path()}:
                words += [f"--{name.replace('_', '-')}", str(each)]
    if given.patience != _PATIENCE_SECONDS:
        words += ["--patience", str(given.patience)]
    return shlex.join(words)
