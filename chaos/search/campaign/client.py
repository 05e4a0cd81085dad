"""The side of a campaign that asks: it starts one, follows it, and tells it what to do."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from chaos.environment.external import Connection
from chaos.environment.readiness import pollers_of
from chaos.search.campaign import names
from chaos.search.campaign.lines import lines_of
from chaos.search.campaign.model import QUEUE, Campaign, Ended, Progress
from chaos.search.campaign.store import Store
from chaos.search.campaign.workflow import CampaignWorkflow

PREFIX = "campaign-"
"""What the id of each begins with."""

ON = "--on"
"""The option that names the control cluster."""

_MEMO = "campaign"
"""The memo of its workflow that has its input."""

_PATIENCE = timedelta(seconds=15)
_INTERVAL_SECONDS = 1.0
_STALE = timedelta(seconds=90)
"""A poll of a worker lasts a minute; one without a newer poll is gone."""

_AWAY = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.ABORTED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.UNKNOWN,
}
"""Of a server that restarts, or whose workers do."""

Line = Callable[[str], None]
"""Told a line of progress."""


class ControlError(Exception):
    """A campaign cannot be reached, or cannot go on. One sentence: why, and what to do."""


class AwayError(ControlError):
    """A campaign does not answer now, and may later. `why` is empty where nothing is known to be
    wrong: a busy machine answers late.
    """

    def __init__(self, campaign_id: str, why: str = "") -> None:
        super().__init__(why or f"{campaign_id} does not answer now; try again.")
        self.why = why


@dataclass(frozen=True)
class Control:
    """The control cluster, which has the workflows of campaigns."""

    connection: Connection
    client: Client = field(repr=False)

    @classmethod
    async def connect(cls, address: str | None) -> Control:
        """By the SDK's standard configuration, at this address if there is one. Raises
        ExternalError.
        """
        connection = Connection.load()
        if address is not None:
            connection = connection.at(address, ON)
        return cls(connection, await connection.reach())

    async def start(
        self, make: Callable[[str], Campaign], store: Callable[[str], Store]
    ) -> Campaign:
        """Start a campaign, named by the time: its input is in its store before its workflow
        begins. Raises StoreError, ControlError.
        """
        time = f"{PREFIX}{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"
        for suffix in ("", *(f"-{number}" for number in range(2, 100))):
            campaign = make(f"{time}{suffix}")
            place = await asyncio.to_thread(store, campaign.campaign_id)
            await asyncio.to_thread(place.prove)
            data = campaign.model_dump_json(indent=1).encode()
            if await asyncio.to_thread(place.create, names.CAMPAIGN, data) and await self._begin(
                campaign
            ):
                return campaign
        raise ControlError("a hundred campaigns were started in this second; try again.")

    async def _begin(self, campaign: Campaign) -> bool:
        """Start its workflow, unless another place has one of this name."""
        try:
            await self.client.start_workflow(
                CampaignWorkflow.run,
                args=[campaign, None],
                id=campaign.campaign_id,
                task_queue=names.control_queue(campaign.queue, campaign.code),
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                memo={_MEMO: campaign},
            )
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            raise self._refused(error) from None
        return True

    async def campaigns(self) -> Sequence[WorkflowExecution]:
        """All that the cluster still knows, the newest first. Raises ControlError."""
        query = f"WorkflowType = '{names.WORKFLOW}' AND ExecutionStatus != 'ContinuedAsNew'"
        try:
            found = [each async for each in self.client.list_workflows(query)]
        except RPCError as error:
            raise self._refused(error) from None
        ours = (each for each in found if each.id.startswith(PREFIX))
        return sorted(ours, key=lambda each: each.start_time, reverse=True)

    async def describe(self, campaign_id: str) -> tuple[Campaign, WorkflowExecutionDescription]:
        """A campaign, and its workflow as the server sees it. Raises ControlError."""
        try:
            described = await self.client.get_workflow_handle(campaign_id).describe(
                rpc_timeout=_PATIENCE
            )
        except RPCError as error:
            raise self._refused(error, campaign_id) from None
        if described.workflow_type != names.WORKFLOW:
            raise ControlError(f"{campaign_id!r} is a workflow, but no campaign.")
        return await described.memo_value(_MEMO, type_hint=Campaign), described

    async def progress(self, campaign: Campaign, since: int = 0) -> Progress:
        """How far it is, with the verdicts after the first `since` ones. Raises ControlError, and
        AwayError where the server or all machines are away.
        """
        try:
            return await self._handle(campaign).query(
                CampaignWorkflow.progress, since, rpc_timeout=_PATIENCE
            )
        except WorkflowQueryFailedError:
            raise AwayError(campaign.campaign_id) from None
        except RPCError as error:
            if error.status in _AWAY:
                raise AwayError(campaign.campaign_id, await self._why_away(campaign)) from None
            raise self._refused(error, campaign.campaign_id) from None

    async def tell(self, campaign_id: str, signal: str, *arguments: Any) -> None:
        """Signal it. Raises ControlError."""
        await self.describe(campaign_id)
        try:
            await self.client.get_workflow_handle(campaign_id).signal(
                signal, args=arguments, rpc_timeout=_PATIENCE
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise ControlError(f"{campaign_id} has ended already.") from None
            raise self._refused(error, campaign_id) from None

    async def follow(self, campaign: Campaign, line: Line, *, since: int = 0) -> Ended:
        """Tell each verdict after the first `since` ones, and wait for the end. While the server or
        all machines are away, it says so once, and waits. Raises ControlError if it fails.
        """
        ending = asyncio.create_task(self._end_of(campaign))
        said = ""
        try:
            while True:
                is_over = ending.done()
                try:
                    progress = await self.progress(campaign, since)
                except AwayError as error:
                    if error.why not in {"", said} and not is_over:
                        said = error.why
                        line(f"{said} Meanwhile the campaign waits.")
                else:
                    said = ""
                    for text in lines_of(progress):
                        line(text)
                    since = progress.seen
                if is_over:
                    return ending.result()
                await asyncio.wait({ending}, timeout=_INTERVAL_SECONDS)
        finally:
            ending.cancel()

    async def _end_of(self, campaign: Campaign) -> Ended:
        """What its workflow ends with, however often the server restarts meanwhile."""
        handle = self._handle(campaign)
        while True:
            try:
                return await handle.result()
            except WorkflowFailureError as error:
                raise ControlError(_why_failed(campaign, error)) from None
            except RPCError as error:
                if error.status not in _AWAY:
                    raise self._refused(error, campaign.campaign_id) from None
                await asyncio.sleep(_INTERVAL_SECONDS)

    def _handle(self, campaign: Campaign) -> WorkflowHandle[CampaignWorkflow, Ended]:
        return self.client.get_workflow_handle_for(CampaignWorkflow.run, campaign.campaign_id)

    async def _why_away(self, campaign: Campaign) -> str:
        """Whether the server or the machines are away; empty if it is neither."""
        queue = names.control_queue(campaign.queue, campaign.code)
        pollers = await pollers_of(self.client, [queue])
        if pollers is None:
            return f"Temporal at {self.connection.address} does not answer."
        now = datetime.now(UTC)
        if any(now - each.last_access < _STALE for each in pollers):
            return ""
        command = f"temporal-chaos worker {ON} {self.connection.address}"
        if campaign.queue != QUEUE:
            command += f" --queue {shlex.quote(campaign.queue)}"
        return (
            f"No machine polls for version {campaign.code} of the project: run {command} in a "
            "checkout of it."
        )

    def _refused(self, error: RPCError, campaign_id: str = "") -> ControlError:
        if error.status is RPCStatusCode.NOT_FOUND and campaign_id:
            return ControlError(
                f"Temporal at {self.connection.address} has no campaign {campaign_id!r}: "
                f"campaign list {ON} {self.connection.address} names all."
            )
        return ControlError(self.connection.refused(error))


def _why_failed(campaign: Campaign, error: WorkflowFailureError) -> str:
    """The sentence of a workflow that has no result."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return cause.message
    return (
        f"{campaign.campaign_id} was ended from outside ({type(cause).__name__}): what it found so "
        f"far is in {campaign.evidence}."
    )
