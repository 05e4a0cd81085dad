"""The routes of the API. Each checks what was sent and hands it to `Operations`."""

# ruff: noqa: FAST003 - `operationId` is the alias of the parameter `operation_id`

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response

from workflows.service.errors import Problem
from workflows.service.operations import Operations
from workflows.service.schemas import (
    ID_PATTERN,
    Accepted,
    DecideRequest,
    Errors,
    Health,
    Kind,
    OperationsView,
    OperationView,
    StartRequest,
    decision,
)

MAX_PAGE = 100
_LONGEST_TOKEN = 10_000

ERRORS = {
    400: "The request cannot be read: its body, its length, its page token or two keys.",
    401: "A token is required; it is missing or wrong.",
    403: "The request comes from a page of another origin, or names another host.",
    404: "There is no such operation.",
    408: "The body took too long to arrive.",
    409: "The operation's state does not allow it.",
    413: "The body is too large.",
    422: "The request is invalid: a sentence for each error.",
    500: "The service has a bug.",
    503: "Temporal or a worker does not answer, or the service is at its limit.",
}
_RETRY_AFTER = {
    "description": "Seconds to wait before the next try.",
    "required": True,
    "schema": {"type": "integer"},
}


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its OpenAPI description."""
    return {
        status: {
            "model": Errors,
            "description": ERRORS[status],
            **({"headers": {"Retry-After": _RETRY_AFTER}} if status == HTTPStatus(503) else {}),
        }
        for status in statuses
    }


_EVERYWHERE = (400, 401, 403, 408, 413, 500, 503)

OperationIdPath = Annotated[
    str,
    Path(
        alias="operationId",
        pattern=ID_PATTERN,
        description="The operation's id.",
        examples=["fox-in-the-rain"],
    ),
]


async def operations_of(request: Request) -> Operations:
    """The application's way to Temporal."""
    operations: Operations = request.app.state.operations
    return operations


Desk = Annotated[Operations, Depends(operations_of)]


async def one_key(request: Request) -> None:
    """Raise Problem, 400, where a request has two keys: nobody knows which one is meant."""
    if len(request.headers.getlist("Idempotency-Key")) > 1:
        raise Problem(
            HTTPStatus.BAD_REQUEST, "there are two Idempotency-Key headers; send one of them."
        )


_CONTROL: dict[str, Any] = {
    "status_code": HTTPStatus.ACCEPTED,
    "tags": ["control"],
    "responses": declared(404, 409, 422),
}
"""What the routes that steer an operation have in common."""

api = APIRouter(prefix="/api", responses=declared(*_EVERYWHERE))
probes = APIRouter(tags=["probes"], responses=declared(400, 403, 408, 413, 500, 503))


@api.post(
    "/template-workflow",
    status_code=HTTPStatus.ACCEPTED,
    tags=["operations"],
    dependencies=[Depends(one_key)],
    responses=declared(409, 422),
)
async def start(
    desk: Desk,
    response: Response,
    request: Annotated[StartRequest, Body()],
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=ID_PATTERN,
            description="The same as `operationId`: with either, a repeated request starts only "
            "one operation.",
        ),
    ] = None,
) -> Accepted:
    """Start a single video or a series.

    Without an id a new one is made up. The same request with the same id is answered the same,
    however often it is sent; another request with that id gets 409.
    """
    named = {name for name in (request.operation_id, idempotency_key) if name}
    if len(named) > 1:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "operationId and the header Idempotency-Key mean the same; send one of them.",
        )
    operation_id = named.pop() if named else str(uuid4())
    try:
        await desk.start(Kind(request.template_type), request.workflow_input, operation_id)
    except Problem as problem:
        if problem.status is HTTPStatus.SERVICE_UNAVAILABLE:
            # Nobody knows whether it was started: only with the same id is it safe to try again.
            problem.sentence += f" Send it again with Idempotency-Key: {operation_id}"
        raise
    return _accepted(operation_id, response)


@api.get("/operations", tags=["operations"], responses=declared(422))
async def list_operations(
    desk: Desk,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    page_token: Annotated[
        str | None,
        Query(
            alias="pageToken",
            max_length=_LONGEST_TOKEN,
            description="`nextPageToken` of the page before.",
        ),
    ] = None,
) -> OperationsView:
    """The operations: first those that run, then those that ended, the newest first."""
    return await desk.page(limit, page_token)


@api.get("/status/{operationId}", tags=["operations"], responses=declared(404, 422))
async def status(desk: Desk, operation_id: OperationIdPath) -> OperationView:
    """All about one operation, while it runs and after it ended."""
    return await desk.status(operation_id)


@api.post("/pause/{operationId}", **_CONTROL)
async def pause(desk: Desk, operation_id: OperationIdPath, response: Response) -> Accepted:
    """Wait after the current step, a step being the character or one whole video."""
    await desk.pause(operation_id)
    return _accepted(operation_id, response)


@api.post("/resume/{operationId}", **_CONTROL)
async def resume(desk: Desk, operation_id: OperationIdPath, response: Response) -> Accepted:
    """Go on after a pause."""
    await desk.resume(operation_id)
    return _accepted(operation_id, response)


@api.post("/cancel/{operationId}", **_CONTROL)
async def cancel(desk: Desk, operation_id: OperationIdPath, response: Response) -> Accepted:
    """End after the current step; what was made is kept."""
    await desk.cancel(operation_id)
    return _accepted(operation_id, response)


@api.post("/restart/{operationId}", **_CONTROL)
async def restart(desk: Desk, operation_id: OperationIdPath, response: Response) -> Accepted:
    """Start an operation that failed, was canceled, terminated or timed out again.

    It goes on with what was made: nothing is paid for twice.
    """
    await desk.restart(operation_id)
    return _accepted(operation_id, response)


@api.post("/decide/{operationId}", **_CONTROL)
async def decide(
    desk: Desk,
    operation_id: OperationIdPath,
    response: Response,
    request: Annotated[DecideRequest, Body()],
) -> Accepted:
    """Settle the call that `progress.undecided` tells of; 409 says why it cannot be."""
    await desk.decide(operation_id, decision(request))
    return _accepted(operation_id, response)


@probes.get("/health")
async def health() -> Health:
    """The service lives."""
    return Health()


@probes.get("/ready")
async def ready(desk: Desk) -> Health:
    """Temporal answers, and a worker lately asked it for work."""
    await desk.require_ready()
    return Health()


def _accepted(operation_id: str, response: Response) -> Accepted:
    url = f"/api/status/{operation_id}"
    response.headers["Location"] = url
    return Accepted(operation_id=operation_id, status_url=url)
