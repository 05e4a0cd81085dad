"""What a client may do with operations. Each public method is one request's worth of work.

All of them raise Problem: 404 where there is no such operation of ours, 409 where its state
does not allow it, 503 where Temporal, or a worker that is needed, does not answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from workflows.inputs import decision_objection, excess_of, read_input
from workflows.models import Decision, Progress, SeriesVideoInput, SingleVideoInput
from workflows.service import temporal, views
from workflows.service.errors import Problem, conflict, unavailable, unknown
from workflows.service.positions import Positions
from workflows.service.schemas import Kind, OperationsView, OperationView, Status
from workflows.service.temporal import Execution, Handle, answered
from workflows.service.views import Told

logger = logging.getLogger("workflows.service")

Input = SingleVideoInput | SeriesVideoInput
T = TypeVar("T")

FINGERPRINT = "fingerprint"
"""In the memo: what tells two requests of the same id apart."""

LIST_SECONDS = 1.5
"""How long a page of the list may wait for the progress of its entries."""

LIST_CALLS = 8
"""Calls to Temporal at once for one page of the list."""

LIST_QUERIES = 32
"""Operations whose workers are asked at once for one page; one may wait until time is up."""

_REMEMBERED = 500
"""Runs of which is kept what cannot change any more: the progress of ended ones, a wrong input."""

_NOT_IN_TIME = "it was not known in the time that a list may take; ask for its own status."
_OUTDATED = Told()
_NOBODYS = "no worker of this system can run it."
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
        self._positions = Positions()
        self._ended: OrderedDict[str, Told] = OrderedDict()
        self._inputs: OrderedDict[str, str | None] = OrderedDict()

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

        The workers' journal then resumes it: what was paid for is not paid for again.
        """
        async with answered():
            described = await self._find(operation_id)
            status = views.status_of(described)
            if status in {Status.RUNNING, Status.COMPLETED}:
                raise conflict(
                    f"{operation_id} is {status}; only one that ended without completing can be "
                    "restarted."
                )
            given = await self._input(described)
            try:
                await self._start(
                    described.workflow_type,
                    given,
                    operation_id,
                    described.info.task_queue,
                    WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                )
            except WorkflowAlreadyStartedError:
                raise conflict(f"{operation_id} was just restarted by another request.") from None

    async def status(self, operation_id: str) -> OperationView:
        """All about an operation. Where no worker answers it says so instead of the progress."""
        async with answered():
            described = await self._find(operation_id)
            return views.operation(described, await self._told(described))

    async def pause(self, operation_id: str) -> None:
        """Have it wait after the current step."""
        await self._control(operation_id, "pause")

    async def resume(self, operation_id: str) -> None:
        """Have it go on."""
        await self._control(operation_id, "resume")

    async def cancel(self, operation_id: str) -> None:
        """Have it end after the current step; what was made is kept."""
        await self._control(operation_id, None)

    async def decide(self, operation_id: str, decision: Decision) -> None:
        """Settle a call that may have been billed without a reply.

        Raises Problem, 409, with the reason where the decision cannot be taken.
        """
        async with answered():
            execution = await self._find_running(operation_id)
            wrong_input = await self._wrong_input(execution)
            if wrong_input:
                raise conflict(f"{operation_id} cannot take a decision: {wrong_input}")
            handle = self._handle(execution)
            progress = await temporal.ask(self._client, handle)
            if progress == temporal.NO_WORKER_ANSWERS:
                raise unavailable(f"it is not known what is to be decided: {progress}.")
            if isinstance(progress, str):
                raise conflict(f"it is not known what is to be decided: {progress}")
            reason = decision_objection(progress.undecided, decision)
            if reason:
                raise conflict(reason)
            await _signal(handle, "decide", decision)
            # Somebody else may have decided in between; only the workflow knows who was first.
            after = await temporal.ask(self._client, handle)
            if isinstance(after, Progress) and after.hint:
                raise conflict(after.hint)

    async def page(self, limit: int, page_token: str | None) -> OperationsView:
        """A page of the list: those that run first, then those that ended, the newest first.

        Raises Problem, 400, where the token is none of ours.
        """
        position = self._positions.position(page_token) if page_token else b""
        async with answered():
            found, following = await temporal.list_page(self._client, _LIST_QUERY, limit, position)
            shown = await self._entries(_newest_runs(found))
        token = self._positions.token(following) if following else None
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
        taken = conflict(f"the id {operation_id!r} belongs to another request; choose another.")
        try:
            described = await self._find(operation_id)
            known = await self._known_print(described)
            if known is None:
                known = fingerprint(await self._input(described))
        except Problem:
            raise taken from None
        if (described.workflow_type, known) != (_TYPES[kind], fingerprint(given)):
            raise taken

    async def _find(self, operation_id: str) -> Execution:
        """The newest run of an operation. Raises Problem, 404, where it is none of ours."""
        try:
            described = await temporal.describe(self._client, operation_id)
        except RPCError as error:
            if temporal.is_absence(error):
                raise unknown(operation_id) from None
            raise
        if described.workflow_type not in views.KINDS:
            raise unknown(operation_id)
        return described

    async def _find_running(self, operation_id: str) -> Execution:
        """An operation that has not ended. Raises Problem: 404, 409."""
        execution = await self._find(operation_id)
        status = views.status_of(execution)
        if status is not Status.RUNNING:
            raise _too_late(operation_id, status)
        return execution

    def _handle(self, execution: Execution) -> Handle:
        """Of whatever run is the newest: a long series continues as new at any moment."""
        return self._client.get_workflow_handle(execution.id)

    async def _control(self, operation_id: str, signal: str | None) -> None:
        """Send a signal; None: a cancel."""
        async with answered():
            handle = self._handle(await self._find_running(operation_id))
            await (_signal(handle, signal) if signal else _cancel(handle))

    async def _known_print(self, execution: Execution) -> str | None:
        """The fingerprint in its memo; None where it was started by other means."""
        payload = execution.info.memo.fields.get(FINGERPRINT)
        found = await temporal.read(self._client, [payload], str) if payload else None
        return str(found[0]) if found else None

    async def _input(self, execution: Execution) -> Input:
        """What an operation was asked for; without the progress of a series that continued.

        Raises Problem, 409, where it was started with what it cannot be started with again.
        """
        given, wrong = await self._given(execution)
        wrong = wrong or (excess_of(given) if given else None)
        if given is None or wrong:
            raise conflict(f"{execution.id} cannot be restarted: {wrong}")
        return given

    async def _given(self, execution: Execution) -> tuple[Input | None, str | None]:
        """What a run was started with; or a sentence why its workflow cannot take it."""
        handle = self._client.get_workflow_handle(execution.id, run_id=execution.run_id)
        event = await temporal.first_event(handle)
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        found = await temporal.read(self._client, payloads)
        if found is None:
            return None, "its input cannot be read."
        if _TYPES[Kind.SINGLE] == execution.workflow_type:
            return read_input(SingleVideoInput, found)
        series, wrong = read_input(SeriesVideoInput, found)
        return (series.model_copy(update={"progress": None}) if series else None), wrong

    async def _wrong_input(self, execution: Execution) -> str | None:
        """Why its workflow cannot take what it was started with; None where it can.

        This service asks only for what can be taken, and leaves its fingerprint.
        """
        if await self._known_print(execution):
            return None
        if execution.run_id not in self._inputs:
            _, wrong = await self._given(execution)
            _remember(self._inputs, execution.run_id, wrong)
        return self._inputs[execution.run_id]

    async def _told(self, execution: Execution) -> Told:
        """What can be found out of a run."""
        return await self._asked(execution, await self._recorded(execution))

    async def _recorded(self, execution: Execution) -> Told:
        """What Temporal itself has on record; nothing of the progress where a worker may know."""
        known = self._ended.get(execution.run_id)
        if known:
            return known
        told = Told(wrong_input=await self._wrong_input(execution))
        if views.status_of(execution) is not Status.RUNNING:
            handle = self._client.get_workflow_handle(execution.id, run_id=execution.run_id)
            event = await temporal.close_event(handle)
            told = replace(told, end=temporal.bad_end(event))
            told = told.of(await temporal.progress_at_end(self._client, event))
        return told.of(_NOBODYS) if told.is_open and told.wrong_input else told

    async def _asked(self, execution: Execution, told: Told) -> Told:
        """With the progress as a worker tells it, where nothing is on record."""
        if told.is_open:
            handle = self._client.get_workflow_handle(execution.id, run_id=execution.run_id)
            told = told.of(await temporal.ask(self._client, handle))
        if told.progress and views.status_of(execution) is not Status.RUNNING:
            _remember(self._ended, execution.run_id, told)
        return told

    async def _entries(self, executions: Sequence[Execution]) -> list[OperationView]:
        """The entries of those that are the newest run of their id, as far as time allows.

        What is on record comes first: an operation that no worker tells of must not hide that.
        """
        ends_at = time.monotonic() + LIST_SECONDS
        calls, queries = asyncio.Semaphore(LIST_CALLS), asyncio.Semaphore(LIST_QUERIES)
        looked = await _by(ends_at, calls, [self._look(execution) for execution in executions])
        pairs = [
            pair or (execution, Told(missing=_NOT_IN_TIME))
            for execution, pair in zip(executions, looked, strict=True)
        ]
        newest = [pair for pair in pairs if pair[1] is not _OUTDATED]
        asked = await _by(ends_at, queries, [self._asked(*pair) for pair in newest])
        return [
            views.operation(execution, now or (told.of(_NOT_IN_TIME) if told.is_open else told))
            for (execution, told), now in zip(newest, asked, strict=True)
        ]

    async def _look(self, execution: Execution) -> tuple[Execution, Told]:
        """The newest run of an id, as far as it is on record; that of another entry is outdated."""
        if views.status_of(execution) is Status.COMPLETED:  # for good, and with no attempts
            return execution, await self._recorded(execution)
        newest = await self._find(execution.id)
        if newest.run_id != execution.run_id:
            return newest, _OUTDATED
        return newest, await self._recorded(newest)


async def _by(
    ends_at: float, slots: asyncio.Semaphore, work: Sequence[Coroutine[None, None, T]]
) -> list[T | None]:
    """What is done by then, by the clock of `time.monotonic`; None for what is not, or failed."""

    async def within(each: Coroutine[None, None, T]) -> T:
        async with slots:
            return await each

    tasks = [asyncio.create_task(within(each)) for each in work]
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=max(0, ends_at - time.monotonic()))
    finally:
        for task in tasks:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        for each in work:
            each.close()  # one that never had its slot
    return [None if isinstance(result, BaseException) else result for result in done]


def fingerprint(given: Input) -> str:
    """The same for the same request, and for no other."""
    words = given.model_dump_json(exclude={"progress"})
    return hashlib.sha256(f"{type(given).__name__} {words}".encode()).hexdigest()


def _remember(known: OrderedDict[str, T], run_id: str, told: T) -> None:
    known[run_id] = told
    while len(known) > _REMEMBERED:
        known.popitem(last=False)


def _newest_runs(executions: Sequence[Execution]) -> list[Execution]:
    """Without earlier runs of the same id on the same page."""
    newest: dict[str, Execution] = {}
    for execution in executions:
        other = newest.get(execution.id)
        if other is None or other.started_at < execution.started_at:
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
