"""Which boundaries a call is at, by its method and its messages, and by what was seen before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from temporalio.api.enums.v1 import QueryResultType
from temporalio.api.update.v1 import Rejection, Request, Response

from chaos.wire.boundary import REPORTS, Boundary, Crossing, Kind, Stage
from chaos.wire.tasks import InFlight, Memory, Task

_ACTIVITY_REPORTS = {
    f"RespondActivityTask{outcome}{form}": stage
    for outcome, stage in (
        ("Completed", Stage.COMPLETING),
        ("Failed", Stage.FAILING),
        ("Canceled", Stage.FAILING),
    )
    for form in ("", "ById")
}
_HEARTBEATS = ("RecordActivityTaskHeartbeat", "RecordActivityTaskHeartbeatById")
_COMPLETED = "RespondWorkflowTaskCompleted"
_FAILED = "RespondWorkflowTaskFailed"
_QUERIED = "RespondQueryTaskCompleted"
_START = "StartWorkflowExecution"
WORKFLOW_POLL = "PollWorkflowTaskQueue"
ACTIVITY_POLL = "PollActivityTaskQueue"

TRACKED = frozenset({
    *_ACTIVITY_REPORTS,
    *_HEARTBEATS,
    *(_COMPLETED, _FAILED, _QUERIED, _START, WORKFLOW_POLL, ACTIVITY_POLL),
})  # fmt: skip
"""The methods that tell of work, by their short names."""


class Tracker:
    """What the lines of a process see of one server is seen by all of them. A `scope` is a
    namespace of a server; a workflow is one by its id within that.
    """

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self._memory = Memory()

    def sent(self, scope: str, method: str, request: Any) -> Sequence[Crossing]:
        """What a request is at before the server has it. A task that was given out before the
        wire was there is unknown, and at nothing.
        """
        if method in _ACTIVITY_REPORTS or method in _HEARTBEATS:
            task = self._activity(scope, method, request)
        elif method in {_COMPLETED, _FAILED, _QUERIED}:
            task = self._memory.task(request.task_token)
        else:
            return ()
        if task is None:
            return ()
        if method == _COMPLETED:
            return _named(self._report(task, request))
        if method in _HEARTBEATS:
            ordinal = self._memory.of(task.workflow).count(Kind.HEARTBEAT, task.subject)
            return _named([_crossing(task, Stage.COMPLETING, kind=Kind.HEARTBEAT, ordinal=ordinal)])
        return _named([_crossing(task, _stage(method, request))])

    def answered(
        self, scope: str, method: str, reply: Any, sent: Sequence[Crossing]
    ) -> tuple[Sequence[Crossing], Sequence[Crossing]]:
        """What a reply is at before the worker has it: what it `sent` is known to the server by
        now, and what it gets is assigned.
        """
        for crossing in sent:
            boundary = crossing.boundary
            if boundary.kind is Kind.MARKER:
                self._memory.of((scope, crossing.workflow_id)).count(Kind.MARKER, boundary.subject)
            elif boundary.kind is Kind.ACTIVITY:
                self._in_flight.give_back(_holding(scope, crossing))
        reported = tuple(crossing.at(REPORTS[crossing.boundary.stage]) for crossing in sent)
        return reported, _named(self._assigned(scope, method, reply))

    def handed_over(
        self, scope: str, line: str, assigned: Sequence[Crossing]
    ) -> Sequence[Crossing]:
        """What was assigned to the worker of a line has gone to it."""
        delivered = tuple(crossing.at(Stage.DELIVERED) for crossing in assigned)
        for crossing in delivered:
            if crossing.boundary.kind is Kind.ACTIVITY:
                self._in_flight.take(line, _holding(scope, crossing), crossing)
        return delivered

    def left(self, line: str) -> None:
        """The worker of a line is gone, with all that it had in flight."""
        self._in_flight.leave(line)

    def _activity(self, scope: str, method: str, request: Any) -> Task | None:
        if not method.endswith("ById"):
            return self._memory.task(request.task_token)
        workflow = self._memory.of((scope, request.workflow_id))
        run_id = request.run_id or workflow.newest_run
        return workflow.known(Kind.ACTIVITY, _activity_name(run_id, request.activity_id))

    def _report(self, task: Task, request: Any) -> Iterator[Crossing]:
        """Of a workflow task: what its commands, answers and messages tell of."""
        workflow = self._memory.of(task.workflow)
        yield _crossing(task, Stage.COMPLETING)
        markers: Counter[str] = Counter()
        for command in request.commands:
            match command.WhichOneof("attributes"):
                case "record_marker_command_attributes":
                    name = command.record_marker_command_attributes.marker_name
                    markers[name] += 1
                    # They count when the server has them: an attempt that is lost sends them again.
                    ordinal = workflow.counted(Kind.MARKER, name) + markers[name]
                    marker = Task(Kind.MARKER, name, task.workflow, task.run_id, 1, ordinal)
                    yield _crossing(marker, Stage.COMPLETING)
                case "schedule_activity_task_command_attributes":
                    # Numbered as they are asked for: in which order they are given out is chance.
                    asked = command.schedule_activity_task_command_attributes
                    name = _activity_name(task.run_id, asked.activity_id)
                    workflow.number(Kind.ACTIVITY, asked.activity_type.name, name)
        for name, result in request.query_results.items():
            if query := workflow.known(Kind.QUERY, name):
                yield _crossing(query, _query_stage(result.result_type))
        for message in request.messages:
            update = workflow.known(Kind.UPDATE, message.protocol_instance_id)
            if update and (stage := _update_stage(message.body)):
                yield _crossing(update, stage)

    def _assigned(self, scope: str, method: str, reply: Any) -> Iterator[Crossing]:
        if method == WORKFLOW_POLL:
            yield from self._workflow_task(scope, reply)
        elif method == ACTIVITY_POLL:
            yield from self._activity_task(scope, reply)
        elif method == _COMPLETED:
            yield from self._workflow_task(scope, reply.workflow_task)
            for task in reply.activity_tasks:
                yield from self._activity_task(scope, task)
        elif method == _START:
            yield from self._workflow_task(scope, reply.eager_workflow_task)

    def _workflow_task(self, scope: str, reply: Any) -> Iterator[Crossing]:
        if not reply.task_token:
            return
        execution = reply.workflow_execution
        key, run_id = (scope, execution.workflow_id), execution.run_id
        workflow = self._memory.of(key)
        workflow.newest_run = run_id
        if query_type := reply.query.query_type:
            ordinal = workflow.count(Kind.QUERY, query_type)
            query = Task(Kind.QUERY, query_type, key, run_id, 1, ordinal)
            self._memory.remember(reply.task_token, query)
            yield _crossing(query, Stage.ASSIGNED)
            return
        kind, subject = Kind.WORKFLOW_TASK, reply.workflow_type.name
        name = f"{run_id} {reply.previous_started_event_id}"
        if reply.attempt <= 1:
            workflow.forget(kind, subject, name)
        task = workflow.give(Task(kind, subject, key, run_id, max(reply.attempt, 1)), name)
        self._memory.remember(reply.task_token, task)
        yield _crossing(task, Stage.ASSIGNED)
        for name, asked in reply.queries.items():
            query = workflow.give(Task(Kind.QUERY, asked.query_type, key, run_id), name)
            yield _crossing(query, Stage.ASSIGNED)
        for message in reply.messages:
            request = Request()
            if message.body.Unpack(request):
                update = Task(Kind.UPDATE, request.input.name, key, run_id)
                given = workflow.give(update, message.protocol_instance_id)
                yield _crossing(given, Stage.ASSIGNED)

    def _activity_task(self, scope: str, reply: Any) -> Iterator[Crossing]:
        if not reply.task_token:
            return
        execution = reply.workflow_execution
        key, run_id = (scope, execution.workflow_id), execution.run_id
        activity = Task(Kind.ACTIVITY, reply.activity_type.name, key, run_id, max(reply.attempt, 1))
        name = _activity_name(run_id, reply.activity_id)
        task = self._memory.of(key).give(activity, name)
        self._memory.remember(reply.task_token, task)
        yield _crossing(task, Stage.ASSIGNED)


def _activity_name(run_id: str, activity_id: str) -> str:
    return f"{run_id} {activity_id}"


def _holding(scope: str, crossing: Crossing) -> tuple[str, str, str, int]:
    """The key of an activity that a worker has in flight."""
    boundary = crossing.boundary
    return scope, crossing.workflow_id, boundary.subject, boundary.ordinal


def _stage(method: str, request: Any) -> Stage:
    if method == _QUERIED:
        return _query_stage(request.completed_type)
    return _ACTIVITY_REPORTS.get(method, Stage.FAILING)


def _query_stage(result: int) -> Stage:
    is_failed = result == QueryResultType.QUERY_RESULT_TYPE_FAILED
    return Stage.FAILING if is_failed else Stage.COMPLETING


def _update_stage(body: Any) -> Stage | None:
    """Of a message about an update. That it was accepted is no end of it."""
    if body.Is(Rejection.DESCRIPTOR):
        return Stage.FAILING
    response = Response()
    if not body.Unpack(response):
        return None
    is_failed = response.outcome.WhichOneof("value") == "failure"
    return Stage.FAILING if is_failed else Stage.COMPLETING


def _crossing(task: Task, stage: Stage, *, kind: Kind | None = None, ordinal: int = 0) -> Crossing:
    # Not validated: this is done for each call, and an empty subject is sorted out by _named.
    boundary = Boundary.model_construct(
        kind=kind or task.kind, subject=task.subject, stage=stage, ordinal=ordinal or task.ordinal
    )
    return Crossing.model_construct(
        boundary=boundary,
        workflow_id=task.workflow[1],
        run_id=task.run_id,
        attempt=task.attempt,
        during=(),
    )


def _named(crossings: Iterator[Crossing] | Sequence[Crossing]) -> Sequence[Crossing]:
    """Without those whose subject has no name, which no boundary could name."""
    return tuple(crossing for crossing in crossings if crossing.boundary.subject)
