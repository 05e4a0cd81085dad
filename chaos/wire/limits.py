"""So many requests a second, and no more: limits on what passes to a server or a service."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure

from chaos.wire.specs import LimitSpec, WireError

Clock = Callable[[], float]
"""Seconds that never go back."""

TOLD = "namespace rate limit exceeded"
"""What Temporal's frontend says, and the SDKs show."""

_RESOURCE_EXHAUSTED = 8

_POLL, _LOWEST = 4, 5
_FIRST = frozenset({
    "SignalWorkflowExecution",
    "SignalWithStartWorkflowExecution",
    "StartWorkflowExecution",
    "UpdateWorkflowExecution",
    "ExecuteMultiOperation",
    "CreateSchedule",
    "RecordActivityTaskHeartbeat",
    "RecordActivityTaskHeartbeatById",
    "RespondActivityTaskCompleted",
    "RespondActivityTaskCompletedById",
    "RespondWorkflowTaskCompleted",
    "RespondQueryTaskCompleted",
})  # fmt: skip
"""What the server serves before all else: what begins work, and what reports that it is done."""

_PRIORITIES: Mapping[str, int] = {
    **dict.fromkeys(_FIRST, 1),
    "RequestCancelWorkflowExecution": 2,
    "TerminateWorkflowExecution": 2,
    "GetWorkflowExecutionHistory": 2,
    "DescribeWorkflowExecution": 3,
    "DescribeTaskQueue": 3,
    "QueryWorkflow": 3,
    "RespondActivityTaskCanceled": 3,
    "RespondActivityTaskCanceledById": 3,
    "RespondActivityTaskFailed": 3,
    "RespondActivityTaskFailedById": 3,
    "RespondWorkflowTaskFailed": 3,
    "PollWorkflowTaskQueue": _POLL,
    "PollActivityTaskQueue": _POLL,
    "PollNexusTaskQueue": _POLL,
    "ShutdownWorker": _POLL,
    "RecordWorkerHeartbeat": _POLL,
}
"""As the frontend ranks them (service/frontend/configs/quotas.go of temporalio/temporal)."""

_NOT_COUNTED = ("GetSystemInfo", "GetClusterInfo", "DescribeNamespace", "List", "Count", "Scan")
"""How the methods begin that a client needs to connect at all, or that search: the server has
other limits for those.
"""


class Bucket:
    """A token bucket: `per_second` tokens come in each second, no more than `burst` stay."""

    def __init__(self, per_second: float, burst: float, clock: Clock = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._at = clock()

    def take(self) -> bool:
        """Whether there was one, which is gone now."""
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def reserve(self) -> float:
        """Take the next one that comes; the seconds until then."""
        self._fill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_second)

    @property
    def next_seconds(self) -> float:
        """The seconds until the next one comes."""
        self._fill()
        return max(0.0, (1 - self._tokens) / self._per_second)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now


class RankedBuckets:
    """A bucket for each rank of the server's methods: whoever ranks higher takes from all below, so
    that polls starve first, and reports last.
    """

    def __init__(self, per_second: float, burst: float, clock: Clock = time.monotonic) -> None:
        ranks = {*_PRIORITIES.values(), _LOWEST}
        self._buckets = {rank: Bucket(per_second, burst, clock) for rank in sorted(ranks)}

    def take(self, method: str) -> bool:
        """Whether a call of this method may pass."""
        if not is_limited(method):
            return True
        rank = _PRIORITIES.get(method, _LOWEST)
        if not self._buckets[rank].take():
            return False
        for lower in (each for number, each in self._buckets.items() if number > rank):
            lower.take()
        return True


@dataclass(frozen=True)
class Excess:
    """What becomes of a request above a limit: answered with `status`, and when to ask again; or
    kept back for `wait_seconds`, where the status is 0.
    """

    status: int
    wait_seconds: float

    @property
    def retry_after(self) -> str:
        """The value of the header, in whole seconds as HTTP has it."""
        return str(max(1, math.ceil(self.wait_seconds)))


class Limits:
    """Those of all lines of the process, one for each upstream. All lines to it share it."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._server: RankedBuckets | None = None
        self._services: dict[str, tuple[LimitSpec, Bucket]] = {}

    def put_on(self, spec: LimitSpec) -> None:
        """From now on. One that is on already is replaced."""
        if not spec.service:
            self._server = RankedBuckets(spec.per_second, spec.burst, self._clock)
        else:
            bucket = Bucket(spec.per_second, spec.burst, self._clock)
            self._services[spec.service] = spec, bucket

    def take_off(self, service: str) -> None:
        """The server's, or that of a service. Raises WireError."""
        if not service:
            self._server = None
        elif self._services.pop(service, None) is None:
            raise WireError(f"There is no limit on {service}.")

    def admits(self, method: str) -> bool:
        """Whether a call of the server may pass, by its short name."""
        return self._server is None or self._server.take(method)

    def excess(self, service: str) -> Excess | None:
        """What becomes of a request to a service; None: it passes."""
        if service not in self._services:
            return None
        spec, bucket = self._services[service]
        if not spec.status:
            waits = bucket.reserve()
            return Excess(0, waits) if waits else None
        return None if bucket.take() else Excess(spec.status, bucket.next_seconds)


def is_limited(method: str) -> bool:
    """Whether the rate limit of a namespace concerns a method, by its short name."""
    return not method.startswith(_NOT_COUNTED)


def refusal_details() -> bytes:
    """The details that the server's own refusal has, by which an SDK tells one limit from another:
    a google.rpc.Status, serialized.
    """
    status = GrpcStatus(code=_RESOURCE_EXHAUSTED, message=TOLD)
    status.details.add().Pack(
        ResourceExhaustedFailure(
            cause=ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT,
            scope=ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_NAMESPACE,
        )
    )
    return status.SerializeToString()
