"""What a client may do with operations. Each public method is one request's worth of work.

All of them raise Problem: 404 where there is no such operation of ours, 409 where its state
does not allow it, 503 where Temporal, or a worker that is needed, does not answer.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from workflows.decisions import objection
from workflows.inputs import excess_of, read_input
from workflows.models import Decision, Progress, SeriesVideoInput, SingleVideoInput
from workflows.service import temporal, views
from workflows.service.errors import Problem, conflict, unavailable, unknown
from workflows.service.schemas import Kind, OperationsView, OperationView, Status
from workflows.service.temporal import Handle, answered
from workflows.service.views import Told

logger = logging.getLogger("workflows.service")

Input = SingleVideoInput | SeriesVideoInput

FINGERPRINT = "fingerprint"
"""In the memo: what tells two requests of the same id apart."""

LIST_SECONDS = 1.5
"""How long a page of the list may wait for the progress of its entries."""

LIST_CALLS = 8
"""Calls to Temporal at once for one page of the list."""

_REMEMBERED = 500
"""Ended runs whose progress is kept: it cannot change any more."""

_NOT_IN_TIME = "it was not found out in the time that a list may take; its own status tells more."
_CHECKSUM_BYTES = 6
_TYPES = {kind: name for name, kind in views.KINDS.items()}
_LIST_QUERY = (
    f"WorkflowType IN ({', '.join(repr(name) for name in views.KINDS)}) "
    "AND ExecutionStatus != 'ContinuedAsNew'"
)


class Operations:
    """Operations on one Temporal; new ones go to `task_queue`."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue
        self._ended: OrderedDict[str, Told] = OrderedDict()

    async def start(self, kind: Kind, given: Input, operation_id: str) -> None:
        """Start an operation once: the same request again changes nothing.

        Raises Problem, 409, where the id has another request already.
        """
        async with answered():
            try:
                await self._start(
                    _TYPES[kind],
                    given,
                    operation_id,
                    self._task_queue,
                    WorkflowIDReusePolicy.REJECT_DUPLICATE,
                )
            except WorkflowAlreadyStartedError:
                await self._require_same(kind, given, operation_id)

    async def restart(self, operation_id: str) -> None:
        """Start an operation that ended badly again, with its own input, on its own queue.

        The workers' ledger then resumes it: what was paid for is not paid for again.
        """
        async with answered():
            described = await self._find(operation_id)
            status = views.status_of(described)
            if status in {Status.RUNNING, Status.COMPLETED}:
                raise conflict(f"{operation_id} is {status}; only one that ended badly restarts.")
            given = await self._input(described)
            try:
                await self._start(
                    described.workflow_type,
                    given,
                    operation_id,
                    described.task_queue,
                    WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                )
            except WorkflowAlreadyStartedError:
                raise conflict(f"{operation_id} was just restarted by somebody else.") from None

    async def status(self, operation_id: str) -> OperationView:
        """All about an operation. Where no worker answers it says so instead of the progress."""
        async with answered():
            described = await self._find(operation_id)
            return await views.operation(described, await self._told(described))

    async def pause(self, operation_id: str) -> None:
        """Have it wait after the step in hand."""
        await self._control(operation_id, "pause")

    async def resume(self, operation_id: str) -> None:
        """Have it go on."""
        await self._control(operation_id, "resume")

    async def cancel(self, operation_id: str) -> None:
        """Have it end after the step in hand; what was made is kept."""
        await self._control(operation_id, None)

    async def decide(self, operation_id: str, decision: Decision) -> None:
        """Settle a call that may have been billed without a reply.

        Raises Problem, 409, with the reason where the decision cannot be taken.
        """
        async with answered():
            handle = await self._find_running(operation_id)
            progress = await temporal.ask(handle)
            if isinstance(progress, str):
                raise unavailable(f"nobody knows now what is to be decided: {progress}.")
            reason = objection(progress.undecided, decision)
            if reason:
                raise conflict(reason)
            await _signal(handle, "decide", decision)
            # Somebody else may have decided in between; only the workflow knows who was first.
            after = await temporal.ask(handle)
            if isinstance(after, Progress) and after.hint:
                raise conflict(after.hint)

    async def page(self, limit: int, page_token: str | None) -> OperationsView:
        """A page of the list: those that run first, then those that ended, the newest first.

        Raises Problem, 422, where the token is none of ours.
        """
        position = _position(page_token) if page_token else None
        async with answered():
            pages = self._client.list_workflows(
                _LIST_QUERY,
                page_size=limit,
                next_page_token=position,
                rpc_timeout=temporal.RPC_TIMEOUT,
            )
            await pages.fetch_next_page()
            shown = await self._entries(_newest_runs(pages.current_page or ()))
        token = _page_token(pages.next_page_token) if pages.next_page_token else None
        return OperationsView(operations=shown, next_page_token=token)

    async def require_ready(self) -> None:
        """Raise Problem, 503, unless Temporal answers and a worker listens to it."""
        async with answered():
            if not await temporal.is_polled(self._client, self._task_queue, time.time()):
                raise unavailable(
                    f"no worker polls the task queue {self._task_queue!r}; "
                    "start one: python -m workflows.worker"
                )

    async def _start(
        self,
        workflow: str,
        given: Input,
        operation_id: str,
        task_queue: str,
        reuse: WorkflowIDReusePolicy,
    ) -> None:
        videos = len(given.video_prompts) if isinstance(given, SeriesVideoInput) else 1
        await self._client.start_workflow(
            workflow,
            given,
            id=operation_id,
            task_queue=task_queue,
            id_reuse_policy=reuse,
            memo={FINGERPRINT: fingerprint(given), views.VIDEOS: videos},
            rpc_timeout=temporal.RPC_TIMEOUT,
        )
        logger.info("started %s %s", workflow, operation_id)

    async def _require_same(self, kind: Kind, given: Input, operation_id: str) -> None:
        """Raise Problem, 409, unless the operation of that id was asked for in the same words."""
        taken = conflict(f"the id {operation_id!r} is taken by another request; choose another.")
        try:
            described = await self._find(operation_id)
        except Problem:
            raise taken from None
        known = (await described.memo()).get(FINGERPRINT)
        if known is None:  # it was started by other means
            known = fingerprint(await self._input(described))
        if (described.workflow_type, known) != (_TYPES[kind], fingerprint(given)):
            raise taken

    async def _find(self, operation_id: str) -> WorkflowExecutionDescription:
        """The newest run of an operation. Raises Problem, 404, where it is none of ours."""
        handle = self._client.get_workflow_handle(operation_id)
        try:
            described = await handle.describe(rpc_timeout=temporal.RPC_TIMEOUT)
        except RPCError as error:
            if temporal.is_absence(error):
                raise unknown(operation_id) from None
            raise
        if described.workflow_type not in views.KINDS:
            raise unknown(operation_id)
        return described

    async def _find_running(self, operation_id: str) -> Handle:
        """An operation that has not ended. Raises Problem: 404, 409."""
        status = views.status_of(await self._find(operation_id))
        if status is not Status.RUNNING:
            raise _too_late(operation_id, status)
        # Of whatever run is the newest: a long series continues as new at any moment.
        return self._client.get_workflow_handle(operation_id)

    async def _control(self, operation_id: str, signal: str | None) -> None:
        """Send a signal; None: a cancel."""
        async with answered():
            handle = await self._find_running(operation_id)
            await (_signal(handle, signal) if signal else _cancel(handle))

    async def _input(self, described: WorkflowExecutionDescription) -> Input:
        """What an operation was asked for; without the progress of a series that continued."""
        handle = self._client.get_workflow_handle(described.id, run_id=described.run_id)
        event = await temporal.first_event(handle)
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        found = await self._client.data_converter.decode(payloads)
        given: Input | None
        if _TYPES[Kind.SINGLE] == described.workflow_type:
            given, wrong = read_input(SingleVideoInput, found)
        else:
            series, wrong = read_input(SeriesVideoInput, found)
            given = series.model_copy(update={"progress": None}) if series else None
        wrong = wrong or (excess_of(given) if given else None)
        if given is None or wrong:
            raise conflict(f"{described.id} cannot be restarted: {wrong}")
        return given

    async def _told(self, execution: WorkflowExecution) -> Told:
        """What can be found out of a run: from its end, or else from a worker."""
        known = self._ended.get(execution.run_id)
        if known:
            return known
        handle = self._client.get_workflow_handle(execution.id, run_id=execution.run_id)
        end: str | None = None
        progress: Progress | str | None = None
        has_ended = views.status_of(execution) is not Status.RUNNING
        if has_ended:
            event = await temporal.close_event(handle)
            end = temporal.bad_end(event)
            progress = await temporal.progress_at_end(self._client, event)
        progress = progress or await temporal.ask(handle)
        if isinstance(progress, str):
            return Told(missing=progress, end=end)
        told = Told(progress=progress, end=end)
        if has_ended:
            self._remember(execution.run_id, told)
        return told

    def _remember(self, run_id: str, told: Told) -> None:
        self._ended[run_id] = told
        while len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)

    async def _entries(self, executions: Sequence[WorkflowExecution]) -> list[OperationView]:
        """The entries of those that are the newest run of their id, as far as time allows."""
        slots = asyncio.Semaphore(LIST_CALLS)

        async def look(execution: WorkflowExecution) -> OperationView | None:
            async with slots:
                return await self._look(execution)

        tasks = [asyncio.create_task(look(execution)) for execution in executions]
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=LIST_SECONDS)
        finally:
            for task in tasks:
                task.cancel()
            seen = await asyncio.gather(*tasks, return_exceptions=True)
        shown = [
            await views.operation(execution, Told(missing=_NOT_IN_TIME))
            if isinstance(view, BaseException)
            else view
            for execution, view in zip(executions, seen, strict=True)
        ]
        return [view for view in shown if view]

    async def _look(self, execution: WorkflowExecution) -> OperationView | None:
        """An entry of the list; None where a newer run of the same id stands elsewhere in it."""
        if views.status_of(execution) is Status.COMPLETED:  # for good, and with no attempts
            return await views.operation(execution, await self._told(execution))
        newest = await self._find(execution.id)
        if newest.run_id != execution.run_id:
            return None
        return await views.operation(newest, await self._told(newest))


def fingerprint(given: Input) -> str:
    """The same for the same request, and for no other."""
    words = given.model_dump_json(exclude={"progress"})
    return hashlib.sha256(f"{type(given).__name__} {words}".encode()).hexdigest()


def _newest_runs(executions: Sequence[WorkflowExecution]) -> list[WorkflowExecution]:
    """Without earlier runs of the same id on the same page."""
    newest: dict[str, WorkflowExecution] = {}
    for execution in executions:
        other = newest.get(execution.id)
        if other is None or other.start_time < execution.start_time:
            newest[execution.id] = execution
    return list(newest.values())


async def _signal(handle: Handle, name: str, *arguments: object) -> None:
    with _in_time(handle):
        await handle.signal(name, args=arguments, rpc_timeout=temporal.RPC_TIMEOUT)


async def _cancel(handle: Handle) -> None:
    with _in_time(handle):
        await handle.cancel(rpc_timeout=temporal.RPC_TIMEOUT)


@contextmanager
def _in_time(handle: Handle) -> Iterator[None]:
    """Raises Problem, 409, where the operation ended after it was looked at."""
    try:
        yield
    except RPCError as error:
        if temporal.is_absence(error):
            raise _too_late(handle.id, None) from None
        raise


def _too_late(operation_id: str, status: Status | None) -> Problem:
    return conflict(f"{operation_id} has ended already{f' ({status})' if status else ''}.")


def _page_token(position: bytes) -> str:
    return base64.urlsafe_b64encode(_checksum(position) + position).decode().rstrip("=")


def _position(page_token: str) -> bytes:
    """Where a page begins, in Temporal's own words. Raises Problem, 422.

    Damage is noticed here: Temporal would take it for a fault of its own, and be asked again.
    """
    try:
        padded = page_token + "=" * (-len(page_token) % 4)
        token = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _no_token() from None
    position = token[_CHECKSUM_BYTES:]
    if not position or token != _checksum(position) + position:
        raise _no_token()
    return position


def _checksum(position: bytes) -> bytes:
    return hashlib.sha256(position).digest()[:_CHECKSUM_BYTES]


def _no_token() -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "pageToken is not one that this service has given."
    )
