"""Whether a case may begin: more are handed out than run, and meanwhile somebody may have paused
their campaign, or its minutes are over.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from chaos.search.campaign import names
from chaos.search.campaign.model import State

_PATIENCE = timedelta(seconds=5)


async def require_begin(client: Client, campaign_id: str) -> None:
    """Raises ApplicationError, by which the workflow takes a case back, unless the campaign goes
    on. One that does not answer now has paused nothing.
    """
    handle = client.get_workflow_handle(campaign_id)
    try:
        state = await handle.query(names.STATE, result_type=State, rpc_timeout=_PATIENCE)
    except (RPCError, WorkflowQueryFailedError):
        return
    if state in {State.PAUSED, State.ENDING, State.ENDED}:
        raise ApplicationError(
            f"its campaign was {state} before it began", type=names.NOT_BEGUN, non_retryable=True
        )
