"""Whether a case may begin: many more are handed out than run, and meanwhile somebody may have
paused their campaign.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from chaos.search.campaign import names
from chaos.search.campaign.found import Say
from chaos.search.campaign.model import Stage, State

_PATIENCE = timedelta(seconds=5)
_INTERVAL_SECONDS = 2.0


async def until_it_may_begin(client: Client, campaign_id: str, say: Say) -> None:
    """Wait while the campaign is paused. Raises ApplicationError, for the workflow, if it is
    ending. One that does not answer now has paused nothing.
    """
    handle = client.get_workflow_handle(campaign_id)
    while True:
        try:
            state = await handle.query(names.STATE, result_type=State, rpc_timeout=_PATIENCE)
        except (RPCError, WorkflowQueryFailedError):
            return
        if state in {State.ENDING, State.ENDED}:
            raise ApplicationError(
                "its campaign was ending before it began", type=names.NOT_BEGUN, non_retryable=True
            )
        if state is not State.PAUSED:
            return
        say(Stage.WAITING)
        await asyncio.sleep(_INTERVAL_SECONDS)
