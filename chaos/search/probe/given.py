"""From the user's options to a target: a worker's command line, a workflow and its input. No Python
code is needed for that.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from chaos.environment.readiness import LogLine, Polls
from chaos.environment.target import Service, Target
from chaos.evidence.numbers import quoted
from chaos.evidence.spec import WorkflowSpec
from chaos.evidence.text import plain

ID = "{id}"
"""In a workflow's input: the id of the workflow that is started with it."""


_PATIENCE = timedelta(seconds=10)


class GivenError(Exception):
    """The options are incomplete or wrong. One sentence: what, and how to find it."""


@dataclass(frozen=True)
class Run:
    """A workflow that has run: its type, its queue and its input."""

    workflow_id: str
    workflow_type: str
    task_queue: str
    payloads: Sequence[Payload] = ()


@dataclass(frozen=True)
class Given:
    """The user's options for the system to probe; `like` fills in the missing ones."""

    worker: str = ""
    task_queue: str = ""
    workflow: str = ""
    inputs: Sequence[str] = ()
    services: Sequence[str] = ()
    variables: Sequence[str] = ()
    ready_line: str = ""
    cwd: Path = field(default_factory=Path)
    port: int | None = None
    like: Run | None = None

    def target(self) -> Target:
        """The target; its one spec has the name of the type. Raises GivenError."""
        name = self.workflow or (self.like.workflow_type if self.like else "")
        queue = self.task_queue or (self.like.task_queue if self.like else "")
        worker = _words("--worker", self.worker)
        _require(worker, queue, name)
        arguments = tuple(map(_argument, self.inputs))
        return Target(
            worker=worker,
            task_queue=queue,
            cwd=self.cwd.absolute(),
            services=tuple(map(_service, self.services)),
            passed=tuple(self.variables),
            ready=LogLine(self.ready_line) if self.ready_line else Polls(),
            port=self.port,
            specs={name: lambda workflow_id: self._spec(name, workflow_id, arguments)},
        )

    def _spec(self, name: str, workflow_id: str, arguments: Sequence[Any]) -> WorkflowSpec:
        like = self.like
        payloads = () if arguments or not like else like.payloads
        return WorkflowSpec(
            workflow_id=workflow_id,
            workflow_type=name,
            arguments=(
                *(_with_id(argument, workflow_id) for argument in arguments),
                *(_like(p, like.workflow_id if like else "", workflow_id) for p in payloads),
            ),
        )


def of_target(target: Target, spec: str) -> Target:
    """A project's own target, with just the one spec that is probed. Raises GivenError."""
    known = ", ".join(target.specs) or "none"
    if not spec:
        raise GivenError(f"--target needs --spec NAME, one of the target's specs ({known}).")
    if spec not in target.specs:
        raise GivenError(f"--spec must be one of the target's specs ({known}), not {quoted(spec)}.")
    return replace(target, specs={spec: target.specs[spec]})


def _require(worker: Sequence[str], queue: str, name: str) -> None:
    if not worker:
        raise GivenError(
            "--worker is missing: the command line that starts one of your workers, as you type "
            "it in a shell, such as --worker 'npm start'."
        )
    if not queue:
        raise GivenError(
            "--task-queue is missing: the queue that the worker polls; it is in the worker's code, "
            "and in the Web UI on the page of each of its workflows."
        )
    if not name:
        raise GivenError(
            "--workflow is missing: the type of the workflow to start, as a client names it; or "
            "give --like WORKFLOW_ID of a workflow on your own server."
        )


def _words(option: str, text: str) -> Sequence[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        problem = str(error).lower()
        raise GivenError(
            f"{option} is not a valid command ({problem}): {quoted(text)}; quote it as for a shell."
        ) from None


def _service(text: str) -> Service:
    """`PAYMENTS_URL=python -m orders.doubles {port}`."""
    variable, _, command = text.partition("=")
    argv = _words("--service", command)
    if not variable.isidentifier() or not argv:
        raise GivenError(
            f"--service is VARIABLE=COMMAND, not {quoted(text)}: the variable by which the worker "
            "finds it, and the command that starts it on the port {port}."
        )
    if argv[0].startswith(("http://", "https://")):
        raise GivenError(
            f"--service {variable} is an address: probe starts its services itself, so give the "
            "command of a test double that listens on the port {port}."
        )
    if not any("{port}" in word for word in argv):
        raise GivenError(
            f"--service {variable} does not pass the port to its command: put "
            "{port} where the port belongs."
        )
    return Service(name=variable.lower().removesuffix("_url"), argv=argv, variable=variable)


def _argument(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise GivenError(
            f"--input is not JSON ({plain(str(error))}): {quoted(text)}; write a string "
            "as '\"text\"', and give --input once per argument."
        ) from None


def _with_id(value: Any, workflow_id: str) -> Any:
    if isinstance(value, str):
        return value.replace(ID, workflow_id)
    if isinstance(value, list):
        return [_with_id(each, workflow_id) for each in value]
    if isinstance(value, dict):
        return {key: _with_id(each, workflow_id) for key, each in value.items()}
    return value


def _like(payload: Payload, old_id: str, workflow_id: str) -> RawValue:
    """The input of a workflow that has run; where its own id is in it, the new one's."""
    if old_id and payload.metadata.get("encoding") == b"json/plain":
        changed = Payload()
        changed.CopyFrom(payload)
        quoted_old, quoted_new = (json.dumps(each)[1:-1] for each in (old_id, workflow_id))
        changed.data = payload.data.replace(quoted_old.encode(), quoted_new.encode())
        return RawValue(changed)
    return RawValue(payload)


async def run_like(workflow_id: str, address: str = "", namespace: str = "") -> Run:
    """From its history's first event. Without an address that of Temporal's own variables
    and configuration file, or localhost:7233. Raises GivenError.
    """
    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError) as error:
        raise GivenError(
            f"Temporal's configuration cannot be read ({plain(str(error))}); fix it, or give "
            "--address."
        ) from None
    config.setdefault("target_host", "localhost:7233")
    if address:
        config["target_host"] = address
    if namespace:
        config["namespace"] = namespace
    where = config["target_host"]
    try:
        client = await Client.connect(**config)
        handle = client.get_workflow_handle(workflow_id)
        first = await anext(handle.fetch_history_events(page_size=1, rpc_timeout=_PATIENCE))
    except RPCError as error:
        raise GivenError(_reason(error, workflow_id, where)) from None
    except (RuntimeError, ValueError) as error:
        raise GivenError(_unreachable(where, str(error))) from None
    started = first.workflow_execution_started_event_attributes
    return Run(
        workflow_id=workflow_id,
        workflow_type=started.workflow_type.name,
        task_queue=started.task_queue.name,
        payloads=tuple(started.input.payloads),
    )


def _reason(error: RPCError, workflow_id: str, where: str) -> str:
    if error.status is RPCStatusCode.NOT_FOUND:
        return (
            f"the server at {where} knows no workflow {quoted(workflow_id)}: give the id of one "
            "that is in its Web UI, and --namespace if that is not its default."
        )
    return _unreachable(where, error.message)


def _unreachable(where: str, why: str) -> str:
    return (
        f"the workflow cannot be read from the server at {where} ({plain(why, 200)}): give another "
        "--address, or --workflow, --task-queue and --input in place of --like."
    )
