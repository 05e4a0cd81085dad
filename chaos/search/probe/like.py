"""Reads from the user's own server what a workflow was started with. It only ever reads."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from chaos.evidence.numbers import quoted
from chaos.evidence.text import plain
from chaos.search.probe.given import GivenError, Run

_PATIENCE = timedelta(seconds=10)


async def run_like(workflow_id: str, address: str = "", namespace: str = "") -> Run:
    """What its history's first event tells. Without an address that of Temporal's own variables
    and configuration file, or localhost:7233. Raises GivenError.
    """
    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError) as error:
        raise GivenError(
            f"Temporal's configuration cannot be read ({plain(str(error))}); mend it, or give "
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
