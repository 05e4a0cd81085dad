"""The OpenAPI description is true: schemathesis finds no answer that it does not declare."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.generation.case import Case

from tests.integration.service.conftest import Serve, Served

TOKEN = "sesame-for-schemathesis"
EXAMPLES = 12
SEED = 7

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass
class Found:
    """What a run of schemathesis came to."""

    requests: int = 0
    checks: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    operations: set[str] = field(default_factory=set)


def examine(url: str) -> Found:
    """Run every phase and check of schemathesis against a running service."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "base-url": url,
            "headers": {"Authorization": f"Bearer {TOKEN}"},
            "generation": {
                "max-examples": EXAMPLES,
                "deterministic": True,
                "database": "none",
            },
        }
    )
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    found = Found()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            found.requests += len(event.recorder.interactions)
            found.operations.add(event.recorder.label)
            found.checks |= {c.name for nodes in event.recorder.checks.values() for c in nodes}
            found.problems.extend(problems(event.recorder))
        elif isinstance(event, events.NonFatalError | events.FatalError | events.Interrupted):
            found.problems.append(repr(event))
    return found


def problems(recorder: ScenarioRecorder) -> Iterator[str]:
    for case_id, nodes in recorder.checks.items():
        for node in nodes:
            case = recorder.cases[case_id].value
            promised = node.name == "not_a_server_error" and says_when_to_come_again(
                recorder, case_id
            )
            if node.failure_info and not promised and not is_beyond_openapi(node.name, case):
                failure = node.failure_info.failure
                yield (
                    f"{recorder.label}: {node.name}: {failure.title}: {failure.message}\n"
                    f"{node.failure_info.code_sample}"
                )


def says_when_to_come_again(recorder: ScenarioRecorder, case_id: str) -> bool:
    """Whether the answer is the 503 that is promised where no worker answers for an operation.

    Another test's operation, on a queue where nobody listens, may be started again and asked.
    """
    interaction = recorder.interactions.get(case_id)
    response = interaction.response if interaction else None
    return bool(response and response.status_code == 503 and "retry-after" in response.headers)


def is_beyond_openapi(check: str, case: Case[Any]) -> bool:
    """Whether a refusal has a reason that OpenAPI cannot express.

    Two names for one operation that differ; a page token that nobody was given.
    """
    if check != "positive_data_acceptance":
        return False
    if case.operation.path == "/api/operations":
        return "pageToken" in case.query
    body = case.body if isinstance(case.body, dict) else {}
    key, named = case.headers.get("idempotency-key"), body.get("operationId")
    return case.operation.path == "/api/template-workflow" and None not in (key, named)


@pytest.mark.timeout(120)
async def test_schemathesis_finds_nothing(served: Served, serve: Serve) -> None:
    load_all_checks()
    async with serve(served.bench, "service-examined", SERVICE_TOKEN=TOKEN) as examined:
        found = await asyncio.to_thread(examine, examined.api.url)
        description = (await examined.api.http.get("/openapi.json")).json()
    served.bench.lab.note(f"schemathesis sent {found.requests} requests")
    assert found.problems == []
    paths = {
        f"{method.upper()} {path}"
        for path, methods in description["paths"].items()
        for method in methods
    }
    assert paths <= found.operations
    assert found.requests > EXAMPLES * len(paths) / 2
    assert found.checks >= {
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
        "negative_data_rejection",
        "positive_data_acceptance",
        "unsupported_method",
        "ignored_auth",
    } & set(CHECKS.get_all_names())
