"""A token bucket lets so many pass, by a clock that is moved by hand."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure

from chaos.wire.limits import TOLD, Bucket, Excess, Limits, RankedBuckets, refusal_details
from chaos.wire.specs import LimitSpec, WireError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(bucket: Bucket, times: int) -> int:
    return sum(bucket.take() for _ in range(times))


def test_a_burst_passes_at_once_and_then_the_rate(clock: Clock) -> None:
    bucket = Bucket(2, burst=4, clock=clock)
    assert taken(bucket, 10) == 4
    clock.now += 0.5
    assert taken(bucket, 10) == 1
    clock.now += 1
    assert taken(bucket, 10) == 2


def test_a_long_rest_gives_no_more_than_a_burst(clock: Clock) -> None:
    bucket = Bucket(2, burst=3, clock=clock)
    clock.now += 1000
    assert taken(bucket, 10) == 3


def test_a_rate_below_one_a_second_passes_one_after_a_while(clock: Clock) -> None:
    bucket = Bucket(0.25, burst=1, clock=clock)
    assert bucket.take()
    clock.now += 3.9
    assert not bucket.take()
    clock.now += 0.1
    assert bucket.take()


def test_who_queues_waits_longer_the_more_are_before(clock: Clock) -> None:
    bucket = Bucket(2, burst=1, clock=clock)
    assert [bucket.reserve() for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]
    clock.now += 2
    assert bucket.reserve() == 0.0


def test_polls_starve_before_reports(clock: Clock) -> None:
    buckets = RankedBuckets(4, burst=4, clock=clock)
    assert [buckets.take("RespondActivityTaskCompleted") for _ in range(3)] == [True] * 3
    assert [buckets.take("PollActivityTaskQueue") for _ in range(2)] == [True, False]
    assert buckets.take("RespondActivityTaskCompleted"), "the poll has taken none of its own"


def test_polls_take_nothing_from_reports(clock: Clock) -> None:
    buckets = RankedBuckets(2, burst=2, clock=clock)
    assert [buckets.take("PollWorkflowTaskQueue") for _ in range(3)] == [True, True, False]
    assert [buckets.take("RespondWorkflowTaskCompleted") for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("method", ["GetSystemInfo", "DescribeNamespace", "ListWorkflowExecutions"])
def test_what_has_other_limits_always_passes(clock: Clock, method: str) -> None:
    buckets = RankedBuckets(1, burst=1, clock=clock)
    assert all(buckets.take(method) for _ in range(10))


def test_an_unknown_method_is_the_last(clock: Clock) -> None:
    buckets = RankedBuckets(1, burst=1, clock=clock)
    assert buckets.take("PollWorkflowTaskQueue")
    assert not buckets.take("SomethingNew")


def test_limits_are_of_one_upstream_and_can_be_taken_off(clock: Clock) -> None:
    limits = Limits(clock)
    limits.put_on(LimitSpec(service="payments", per_second=1, burst=1))
    assert limits.excess("payments") is None
    assert limits.excess("carrier") is None
    assert limits.admits("StartWorkflowExecution")
    assert limits.excess("payments") == Excess(429, 1.0)
    limits.take_off("payments")
    assert limits.excess("payments") is None
    with pytest.raises(WireError, match="no limit on payments"):
        limits.take_off("payments")


def test_a_limit_without_a_status_lets_wait(clock: Clock) -> None:
    limits = Limits(clock)
    limits.put_on(LimitSpec(service="payments", per_second=4, burst=1, status=0))
    assert limits.excess("payments") is None
    assert limits.excess("payments") == Excess(0, 0.25)


def test_the_servers_limit_comes_and_goes(clock: Clock) -> None:
    limits = Limits(clock)
    limits.put_on(LimitSpec(per_second=1, burst=1))
    assert [limits.admits("StartWorkflowExecution") for _ in range(2)] == [True, False]
    limits.take_off("")
    assert limits.admits("StartWorkflowExecution")
    limits.take_off("")  # to heal twice is no mistake


@pytest.mark.parametrize(("seconds", "header"), [(0.01, "1"), (1.0, "1"), (1.2, "2")])
def test_when_to_ask_again_is_told_in_whole_seconds(seconds: float, header: str) -> None:
    assert Excess(429, seconds).retry_after == header


def test_a_refusal_has_the_details_of_the_servers_own() -> None:
    status, failure = GrpcStatus.FromString(refusal_details()), ResourceExhaustedFailure()
    assert status.message == TOLD
    assert status.details[0].Unpack(failure)
    assert failure.cause == ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT
