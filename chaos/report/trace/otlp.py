"""OpenTelemetry's protocol as JSON: one `ExportTraceServiceRequest`, which a collector accepts at
`/v1/traces`. As its specification says, ids are hexadecimal, 64-bit numbers are strings, and enums
are numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from chaos.report.trace.spans import HARNESS, Instant, Source, Span, Value

_INTERNAL = 1
"""`SPAN_KIND_INTERNAL`."""
_OK, _ERROR = 1, 2
"""`STATUS_CODE_OK` and `STATUS_CODE_ERROR`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def parts(source: Source) -> Iterator[str]:
    """The text of the file."""
    case = _case_of(source)
    before = '{"resourceSpans":[\n'
    for group in _groups(source):
        for process, spans in groupby(sorted(group, key=_process), _process):
            told = _resource(case, process, list(spans), source)
            yield before + json.dumps(told, ensure_ascii=False, allow_nan=False)
            before = ",\n"
    yield "\n]}\n"


def _groups(source: Source) -> Iterator[Sequence[Span]]:
    yield list(source.harness())
    yield from source.workflows()


def _process(span: Span) -> str:
    return span.process


def _case_of(source: Source) -> str:
    """The case by its folder and begin: two runs share no id."""
    folder = source.evidence.folder
    return f"{folder.parent.name}/{folder.name} {source.clock.begin.isoformat()}"


def _resource(case: str, process: str, spans: Sequence[Span], source: Source) -> dict[str, Any]:
    name = process if process == HARNESS else f"{HARNESS}.{process}"
    return {
        "resource": {"attributes": _attributes({"service.name": name, "chaos.case": case})},
        "scopeSpans": [
            {
                "scope": {"name": HARNESS},
                "spans": [
                    _span(case, span, source.instants() if span.key == "case" else ())
                    for span in spans
                ],
            }
        ],
    }


def _span(case: str, span: Span, instants: Iterator[Instant] | tuple[()]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "traceId": _id(f"{case} {span.root}", 16),
        "spanId": _id(f"{case} {span.key}", 8),
        "name": span.name,
        "kind": _INTERNAL,
        "startTimeUnixNano": _nanoseconds(span.start),
        "endTimeUnixNano": _nanoseconds(span.end),
        "attributes": _attributes(dict(span.attributes)),
    }
    if span.parent:
        told["parentSpanId"] = _id(f"{case} {span.parent}", 8)
    if events := [_event(each) for each in instants]:
        told["events"] = events
    if span.is_error is not None:
        told["status"] = (
            {"code": _ERROR, "message": span.message} if span.is_error else {"code": _OK}
        )
    return told


def _event(instant: Instant) -> dict[str, Any]:
    return {
        "timeUnixNano": _nanoseconds(instant.at),
        "name": instant.name,
        "attributes": _attributes({"chaos.kind": instant.kind}),
    }


def _attributes(values: dict[str, Value]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def _nanoseconds(at: datetime) -> str:
    return str((at - _EPOCH) // _MICROSECOND * 1000)


def _id(text: str, size: int) -> str:
    """The same each time, so that a trace that is exported again is the same one."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[: 2 * size]
