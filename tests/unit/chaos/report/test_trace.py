"""A case as a trace: valid by the formats' own rules, and the same story as the page tells."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from chaos.__main__ import main
from chaos.evidence.case import Evidence
from chaos.report.trace import FORMATS, write_trace
from chaos.report.trace.spans import HARNESS, _root
from tests.unit.chaos.hostile import HOSTILE, unseen
from tests.unit.chaos.report.html.runs import CRASH, PASSED, RETRY, a_run, measure
from tests.unit.kept import EVIDENCE

KILLED = EVIDENCE / "worker_crash" / "sigkill_twice"
WITH_A_CHILD = EVIDENCE.parent / "false_passes" / "worker_dies_with_a_child"
KEPT = [*sorted(file.parent for file in EVIDENCE.glob("*/*/journal.jsonl")), WITH_A_CHILD]

_ANY_OF = {
    "stringValue": {"type": "string"},
    "boolValue": {"type": "boolean"},
    "intValue": {"type": "string", "pattern": "^-?[0-9]+$"},
    "doubleValue": {"type": "number"},
}


def _object(required: Sequence[str], **properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_ATTRIBUTES = {
    "type": "array",
    "items": _object(
        ["key", "value"],
        key={"type": "string", "minLength": 1},
        value={"oneOf": [_object([name], **{name: kind}) for name, kind in _ANY_OF.items()]},
    ),
}
_NANOSECONDS = {"type": "string", "pattern": "^[0-9]{19}$"}
_HEX_8 = {"type": "string", "pattern": "^[0-9a-f]{16}$", "not": {"const": "0" * 16}}
_HEX_16 = {"type": "string", "pattern": "^[0-9a-f]{32}$", "not": {"const": "0" * 32}}
OTLP = _object(
    ["resourceSpans"],
    resourceSpans={
        "type": "array",
        "items": _object(
            ["resource", "scopeSpans"],
            resource=_object(["attributes"], attributes=_ATTRIBUTES),
            scopeSpans={
                "type": "array",
                "items": _object(
                    ["scope", "spans"],
                    scope=_object(["name"], name={"type": "string"}),
                    spans={
                        "type": "array",
                        "minItems": 1,
                        "items": _object(
                            ["traceId", "spanId", "name", "startTimeUnixNano", "endTimeUnixNano"],
                            traceId=_HEX_16,
                            spanId=_HEX_8,
                            parentSpanId=_HEX_8,
                            name={"type": "string", "minLength": 1},
                            kind={"const": 1},
                            startTimeUnixNano=_NANOSECONDS,
                            endTimeUnixNano=_NANOSECONDS,
                            attributes=_ATTRIBUTES,
                            events={
                                "type": "array",
                                "items": _object(
                                    ["timeUnixNano", "name"],
                                    timeUnixNano=_NANOSECONDS,
                                    name={"type": "string"},
                                    attributes=_ATTRIBUTES,
                                ),
                            },
                            status=_object(
                                ["code"], code={"enum": [1, 2]}, message={"type": "string"}
                            ),
                        ),
                    },
                ),
            },
        ),
    },
)
"""As opentelemetry-proto's `trace.proto` and the JSON rules of the OTLP specification have it."""


def _trace(folder: Path, form: str, to: Path) -> Any:
    """The trace of a kept case, written elsewhere."""
    text = "".join(FORMATS[form](_source(folder)))
    (to / "trace.json").write_text(text)
    return json.loads(text, parse_constant=pytest.fail)


def _source(folder: Path) -> Any:
    from chaos.report.trace.spans import Source  # noqa: PLC0415 - beside what it is made of

    return Source.of(Evidence.load(folder), (), {})


def _spans(trace: Any) -> list[dict[str, Any]]:
    return [
        {**span, "service": resource["resource"]["attributes"][0]["value"]["stringValue"]}
        for resource in trace["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def _attribute(span: Any, name: str) -> Any:
    found = [each["value"] for each in span["attributes"] if each["key"] == name]
    return next(iter(found[0].values())) if found else None


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_old_evidence_is_a_valid_trace_in_both_formats(folder: Path, tmp_path: Path) -> None:
    otlp = _trace(folder, "otlp", tmp_path)
    assert list(jsonschema_rs.validator_for(OTLP).iter_errors(otlp)) == []
    spans = _spans(otlp)
    ids = {(span["traceId"], span["spanId"]) for span in spans}
    assert len(ids) == len(spans) > 1
    for span in spans:
        assert span["startTimeUnixNano"] <= span["endTimeUnixNano"]
        assert "parentSpanId" not in span or (span["traceId"], span["parentSpanId"]) in ids

    events = _trace(folder, "chrome", tmp_path)["traceEvents"]
    named = {(e["pid"], e["tid"]) for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    for event in events:
        assert event["ph"] in "MXiC"
        assert event["ph"] == "M" or isinstance(event["ts"], int)
        assert event["ph"] not in "Xi" or (event["pid"], event["tid"]) in named
        assert event.get("dur", 0) >= 0


def test_bars_of_one_thread_never_overlap_but_lie_within_each_other(tmp_path: Path) -> None:
    threads: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for event in _trace(KILLED, "chrome", tmp_path)["traceEvents"]:
        if event["ph"] == "X":
            end = event["ts"] + event["dur"]
            threads[event["pid"], event["tid"]].append((event["ts"], -end))

    for bars in threads.values():
        open_until: list[int] = []
        for start, end in sorted(bars):
            open_until = [until for until in open_until if until > start]
            assert all(-end <= until for until in open_until)
            open_until.append(-end)


def test_the_trace_tells_of_the_killed_attempt_its_fault_and_its_successor(tmp_path: Path) -> None:
    spans = _spans(_trace(KILLED, "otlp", tmp_path))
    root = next(span for span in spans if span["name"].startswith("RunWorkflow:"))
    own = [span for span in spans if span["traceId"] == root["traceId"]]
    faults = [span for span in spans if _attribute(span, "chaos.kind") == "fault"]
    attempts = [span for span in own if span["name"].startswith("RunActivity:")]
    lost = [span for span in attempts if _attribute(span, "chaos.outcome") == "lost"]

    assert "parentSpanId" not in root
    assert {span["service"] for span in faults} == {HARNESS}
    assert [span["name"] for span in faults] == ["kill worker-1", "kill worker-2"]
    assert len(lost) == 2
    for fault, attempt in zip(faults, lost, strict=True):
        assert attempt["status"]["code"] == 2
        assert abs(int(attempt["endTimeUnixNano"]) - int(fault["startTimeUnixNano"])) < 1e9
    done = [span for span in attempts if _attribute(span, "chaos.outcome") == "done"]
    assert {span["service"] for span in done} >= {f"{HARNESS}.worker-3"}
    workflow_id = _attribute(root, "temporalWorkflowID")
    assert {_attribute(span, "temporalWorkflowID") for span in attempts} == {workflow_id}


def test_an_export_again_has_the_same_ids(tmp_path: Path) -> None:
    assert _trace(KILLED, "otlp", tmp_path) == _trace(KILLED, "otlp", tmp_path)


@pytest.mark.parametrize("form", FORMATS)
def test_it_is_made_piece_by_piece(form: str) -> None:
    parts = iter(FORMATS[form](_source(KILLED)))

    assert len(next(parts)) < 200_000
    assert len(list(parts)) > 3


def test_a_child_belongs_to_the_trace_of_its_parent(tmp_path: Path) -> None:
    spans = _spans(_trace(WITH_A_CHILD, "otlp", tmp_path))
    workflows = [span for span in spans if span["name"].startswith("RunWorkflow:")]

    parents = [span for span in workflows if "parentSpanId" not in span]
    children = [span for span in workflows if "parentSpanId" in span]
    assert parents
    assert children
    known = {(span["traceId"], span["spanId"]) for span in parents}
    assert all((child["traceId"], child["parentSpanId"]) in known for child in children)


def test_a_grandchild_belongs_to_the_trace_of_who_began_it_all() -> None:
    parents = {"grandchild": "child", "child": "parent", "loop": "pool", "pool": "loop"}

    assert _root("grandchild", parents) == _root("parent", parents) == "parent"
    assert _root("loop", parents) in {"loop", "pool"}


def test_all_cases_of_a_run_are_written_and_their_samples_are_counters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_run(tmp_path / "run", {CRASH: PASSED, RETRY: PASSED})
    case = tmp_path / "run" / "worker_crash" / "sigkill_twice"
    measure(case, "worker-1")
    (tmp_path / "other").write_text("kept")
    (case / "trace.chrome.json").symlink_to(tmp_path / "other")

    assert main(["report", str(tmp_path / "run"), "--trace", "chrome"]) == 0

    assert (tmp_path / "other").read_text() == "kept"
    assert capsys.readouterr().out.count("Written: ") == 2
    events = json.loads((case / "trace.chrome.json").read_text())["traceEvents"]
    counters = {event["name"] for event in events if event["ph"] == "C"}
    assert counters == {"backlog_tasks workflow videos", "worker_memory_bytes worker-1"}
    assert [file.name for file in case.glob(".*")] == []


def test_a_case_that_cannot_be_read_is_said_and_the_others_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_run(tmp_path / "run", {CRASH: PASSED, RETRY: PASSED})
    journal = tmp_path / "run" / "worker_crash" / "sigkill_twice" / "journal.jsonl"
    journal.write_text("")

    assert main(["report", str(tmp_path / "run"), "--trace", "otlp"]) == 2

    said = capsys.readouterr()
    assert "worker_crash/sigkill_twice has no trace: its journal is missing or empty." in said.err
    assert said.out.count("Written: ") == 1


def test_it_takes_no_other_options_and_no_other_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "nowhere", "--trace", "otlp", "--trend"]) == 2
    assert "--trace writes traces alone" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["report", "nowhere", "--trace", "svg"])


@pytest.mark.parametrize("form", FORMATS)
def test_no_text_of_a_guest_is_more_than_text_and_no_secret_is_told(
    form: str, tmp_path: Path
) -> None:
    a_run(tmp_path / "run", {CRASH: PASSED})
    case = tmp_path / "run" / "worker_crash" / "sigkill_twice"
    journal = (case / "journal.jsonl").read_text()
    name = json.dumps(f"{HOSTILE} api_key=abc123secret").replace("\\ud", "?")
    (case / "journal.jsonl").write_text(journal.replace('"worker-1"', name))

    text = write_trace(case, form, Evidence.load(case), {}).read_text()

    json.loads(text)
    assert unseen(text) == set()
    assert "abc123secret" not in text
