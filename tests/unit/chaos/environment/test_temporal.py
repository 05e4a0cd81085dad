"""What a server says when it is asked whether it answers."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.service import RPCError, RPCStatusCode

from chaos.environment.temporal import is_over_limit
from chaos.wire.limits import refusal_details

EXHAUSTED = RPCStatusCode.RESOURCE_EXHAUSTED


def _because(cause: ResourceExhaustedCause.ValueType) -> bytes:
    status = GrpcStatus(code=EXHAUSTED)
    status.details.add().Pack(ResourceExhaustedFailure(cause=cause))
    return status.SerializeToString()


OVERLOADED = _because(ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED)


@pytest.mark.parametrize(
    ("status", "details", "is_limit"),
    [
        (EXHAUSTED, refusal_details(), True),
        (EXHAUSTED, OVERLOADED, False),
        (EXHAUSTED, b"", False),
        (RPCStatusCode.UNAVAILABLE, b"", False),
    ],
)
def test_a_rate_limit_is_told_from_an_overload(
    status: RPCStatusCode, details: bytes, is_limit: bool
) -> None:
    assert is_over_limit(RPCError("", status, details)) is is_limit
