"""Every error in one shape: `{"errors": ["one clear sentence", …]}`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

logger = logging.getLogger("workflows.service")

RETRY_AFTER_SECONDS = 2
"""What an answer 503 advises: about as long as a server takes to be back after a restart."""

_LONGEST_NAME = 60
"""Characters of a client's own field name that are shown."""

_MOST_FAULTS = 10
"""Faults of one request that are told."""

_TAGS = frozenset({"single", "series", "made", "resend", "give_up"})
"""What pydantic puts into a fault's path for the kind of body; no client wrote it."""


class Problem(Exception):  # noqa: N818 - it is an answer, and most are no fault of the program
    """An answer that is not what was asked for: a status, a sentence and headers."""

    def __init__(
        self,
        status: HTTPStatus,
        sentence: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers


def unavailable(sentence: str, *, headers: Mapping[str, str] | None = None) -> Problem:
    """Somebody the service depends on does not answer, or it has no room: 503, try again soon."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        sentence,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS), **(headers or {})},
    )


def unknown(operation_id: str) -> Problem:
    """There is no operation of ours with that id."""
    return Problem(HTTPStatus.NOT_FOUND, f"there is no operation {operation_id!r}.")


def conflict(sentence: str) -> Problem:
    """It cannot be done in the state that the operation is in."""
    return Problem(HTTPStatus.CONFLICT, sentence)


HEAD = "workflows.service.head"
"""In the scope of a request that came as HEAD and is answered as GET."""


def as_json(sentences: Sequence[str]) -> bytes:
    """The body that says what is wrong."""
    return bytes(answer(HTTPStatus.OK, sentences).body)


def answer(
    status: int, sentences: Sequence[str], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response that says what is wrong."""
    return JSONResponse({"errors": list(sentences)}, status_code=status, headers=headers)


def install(app: FastAPI) -> None:
    """Have every error of the application answered in the one shape."""
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(RequestValidationError, _of_faults)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_defect)


async def _of_problem(_: Request, error: Exception) -> JSONResponse:
    problem = cast("Problem", error)  # it is registered for no other
    return answer(problem.status, [problem.sentence], problem.headers)


async def _of_faults(_: Request, error: Exception) -> JSONResponse:
    faults = cast("RequestValidationError", error)  # for the same reason
    return answer(HTTPStatus.UNPROCESSABLE_ENTITY, sentences(faults.errors()))


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    """Of the framework's own refusals: no such path, no such method, a body that is no JSON."""
    refusal = cast("HTTPException", error)  # for the same reason
    method = "HEAD" if request.scope.get(HEAD) else request.method
    headers = dict(refusal.headers or {})
    if "GET" in headers.get("Allow", ""):
        headers["Allow"] += ", HEAD"
    said = {
        HTTPStatus.NOT_FOUND: "there is no such path; /docs lists all paths.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{method} is not allowed here.",
        HTTPStatus.BAD_REQUEST: "the body cannot be read as JSON.",
    }
    sentence = said.get(HTTPStatus(refusal.status_code), str(refusal.detail))
    return answer(refusal.status_code, [sentence], headers)


async def _of_defect(_: Request, error: Exception) -> JSONResponse:
    """Of a defect of the service. Its text stays in the log: nobody checked what it tells."""
    logger.error("a request failed by %s", type(error).__name__)
    sentence = "the service has a bug here; see its log."
    return answer(HTTPStatus.INTERNAL_SERVER_ERROR, [sentence])


def sentences(faults: Iterable[ErrorDetails]) -> list[str]:
    """One sentence for each fault, without the value that was given; of many, the first."""
    found = list(faults)
    own = [fault for fault in found if not _follows(fault, found)]
    left = len(own) - _MOST_FAULTS
    more = [f"there are {left} more errors."] if left > 0 else []
    return [*dict.fromkeys(map(_sentence, own[:_MOST_FAULTS])), *more]


def _follows(fault: ErrorDetails, others: Sequence[ErrorDetails]) -> bool:
    """Whether a list counts as too short only because its entries are wrong themselves."""
    loc = fault["loc"]
    return fault["type"] == "too_short" and any(
        len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in others
    )


def _sentence(fault: ErrorDetails) -> str:
    kind, told = fault["type"], fault.get("ctx", {})
    if kind == "json_invalid":
        return f"the body is not JSON: {told.get('error', 'it is malformed')}."
    path = _path(fault["loc"])
    if kind == "value_error":  # one of ours: it goes on from the path
        return f"{path} {str(told.get('error', '')).rstrip('.')}."
    said = {
        "missing": "is missing",
        "extra_forbidden": "is not a known field",
        "string_pattern_mismatch": _of_pattern(str(told.get("pattern", ""))),
        "string_too_short": "is empty",
        "string_too_long": f"is longer than {told.get('max_length')} characters",
        "string_unicode": "is not valid Unicode",
        "too_short": "is empty",
        "too_long": f"has more than {told.get('max_length')} entries",
        "union_tag_invalid": f"must be one of {told.get('expected_tags')}",
        "union_tag_not_found": "is missing",
        "model_attributes_type": "must be a JSON object, sent as application/json",
        "dict_type": "must be a JSON object, sent as application/json",
    }.get(kind)
    if kind.startswith("union_tag"):
        # Pydantic names the field and its alias: 'template_type' | 'templateType'.
        path = str(told.get("discriminator", "")).rpartition(" ")[2].strip("'")
    return f"{path} {said}." if said else f"{path}: {_lowered(fault['msg'])}."


def _of_pattern(pattern: str) -> str:
    """What a pattern asks for. Those of this service stand in `schemas`, by their beginning."""
    if pattern.startswith("^[A-Za-z0-9]"):
        return "must be letters, digits, dots, dashes and underscores, at most 200"
    if pattern.startswith("^models/"):
        return "must be such as models/MODEL/operations/ID"
    return "is blank, or has a NUL character"


def _path(loc: tuple[int | str, ...]) -> str:
    """Where a fault is, as the client wrote it: `config.videoPrompts[2]`."""
    where, *parts = loc
    if where == "body" and parts and parts[0] in _TAGS:
        parts = parts[1:]
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{_shown(part)}"
    return path.removeprefix(".") or f"the {where}"


def _shown(name: str) -> str:
    """A name that the client may have made up: short, and without what no JSON can carry."""
    printable = name.encode("ascii", "backslashreplace").decode()
    return printable if len(printable) <= _LONGEST_NAME else f"{printable[:_LONGEST_NAME]}…"


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".")
