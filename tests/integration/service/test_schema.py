"""The OpenAPI description is true: schemathesis finds no answer that it does not declare."""

from __future__ import annotations

import asyncio
import itertools
import math
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.generation.case import Case

from chaos.environment.stack import StackSpec
from tests.integration.conftest import BenchIn
from tests.integration.service.client import slowest_health
from tests.integration.service.conftest import Serve, Served
from tests.integration.service.foreign import foreigners

TOKEN = "sesame-for-schemathesis"
EXAMPLES = 12
SEED = 7

pytestmark = pytest.mark.asyncio(loop_scope="session")


LONG_SECONDS = 60.0
WORKERS = 8
"""Requests at once of a long run: while Temporal is paused each takes 5 s."""


@dataclass
class Found:
    """What a run of schemathesis came to."""

    requests: int = 0
    checks: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)  # of schemathesis itself
    operations: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    slowest_seconds: float = 0.0


def examine(url: str, found: Found, *, until: float = math.inf, **changes: object) -> Found:
    """Run every phase and check of schemathesis against a running service, or as many as time
    allows (`until`, by `time.monotonic`). `changes` are settings of schemathesis.
    """
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
            **changes,
        }
    )
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    stream = from_schema(schema).execute()
    for event in stream:
        if isinstance(event, events.ScenarioFinished):
            for interaction in event.recorder.interactions.values():
                if interaction.response:
                    found.statuses[interaction.response.status_code] += 1
                    took_seconds = interaction.response.elapsed
                    found.slowest_seconds = max(found.slowest_seconds, took_seconds)
            found.requests += len(event.recorder.interactions)
            found.operations.add(event.recorder.label)
            found.checks |= {c.name for nodes in event.recorder.checks.values() for c in nodes}
            found.problems.extend(problems(event.recorder))
        elif isinstance(event, events.NonFatalError | events.FatalError | events.Interrupted):
            found.troubles.append(repr(event))
        if time.monotonic() >= until:
            stream.stop()
    return found


OF_503 = {"not_a_server_error", "positive_data_acceptance", "negative_data_rejection"}
"""What an answer 503 cannot meet: nobody looked at what was sent."""


def problems(recorder: ScenarioRecorder) -> Iterator[str]:
    for case_id, nodes in recorder.checks.items():
        for node in nodes:
            case = recorder.cases[case_id].value
            promised = node.name in OF_503 and says_when_to_come_again(recorder, case_id)
            if node.failure_info and not promised and not is_beyond_openapi(node.name, case):
                failure = node.failure_info.failure
                yield (
                    f"{recorder.label}: {node.name}: {failure.title}: {failure.message}\n"
                    f"{node.failure_info.code_sample}"
                )


def says_when_to_come_again(recorder: ScenarioRecorder, case_id: str) -> bool:
    """Whether the answer is the 503 that is promised where Temporal or a worker does not answer.

    Another test's operation, on a queue where nobody listens, may be started again and spec.
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
        found = await asyncio.to_thread(examine, examined.api.url, Found())
        description = (await examined.api.http.get("/openapi.json")).json()
    served.bench.lab.note(f"schemathesis sent {found.requests} requests")
    assert found.problems == found.troubles == []
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


def examine_long(url: str, ids: Sequence[str]) -> Found:
    """For a minute: with ids that are made up, and with those of foreign operations."""
    found = Found()
    until = time.monotonic() + LONG_SECONDS
    for seed in itertools.count(SEED):
        if time.monotonic() >= until:
            return found
        known = {"parameters": {"path.operationId": ids[seed % len(ids)]}} if seed % 2 else {}
        examine(url, found, until=until, seed=seed, workers=WORKERS, **known)
    raise AssertionError


@pytest.mark.nightly
@pytest.mark.timeout(300)
@pytest.mark.parametrize("temporal", ["there", "paused", "away"])
async def test_nothing_but_503_is_found_in_a_minute_among_foreigners(
    bench_in: BenchIn, serve: Serve, tmp_path: Path, temporal: str
) -> None:
    async with (
        bench_in(tmp_path, StackSpec(persistent=False)) as bench,
        serve(bench, f"service-{temporal}", SERVICE_TOKEN=TOKEN) as examined,
        foreigners(bench.lab.client, "schema") as ids,
    ):
        server = bench.lab.stack.server.child
        if temporal != "there":
            server.send(signal.SIGSTOP if temporal == "paused" else signal.SIGKILL)
        sound = [name for name in ids if quote(name, safe="") == name]
        async with slowest_health(examined.api.url) as healths:
            found = await asyncio.to_thread(examine_long, examined.api.url, sound)
        (slowest_seconds,) = healths
        if temporal == "paused":
            server.send(signal.SIGCONT)
    said = (
        f"{temporal}: {found.requests} requests, {dict(found.statuses)}, "
        f"slowest {found.slowest_seconds:.1f} s, health {slowest_seconds:.3f} s"
    )
    bench.lab.note(said)
    assert found.problems == []  # troubles: it stops in the middle, and has its own with threads
    assert all(status < 500 or status == 503 for status in found.statuses), said
    assert found.slowest_seconds < 10, said
    assert 0 < slowest_seconds < 1, said
