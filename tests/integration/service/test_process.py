"""The service as a process: how it starts, what it needs to start at all, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from chaos.evidence.journal import Journal
from chaos.process.child import Child, child_environment
from chaos.process.ports import Port
from chaos.process.reaper import Reaper
from tests.integration.service.client import SERVICE_ARGV, ServiceClient, errors
from tests.integration.service.conftest import READY_SECONDS, Served
from workflows.service.schemas import MAX_BODY_BYTES

TOKEN = "hush-hush-service"
BODY = {"templateType": "single", "config": {"characterPrompt": "a", "videoPrompt": "b"}}

Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def start(reaper: Reaper, tmp_path: Path, nobody: Port) -> Start:
    """Starts a service that cannot run, in an empty folder, and waits for its end."""

    def start(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        extra = {"TEMPORAL_ADDRESS": nobody.address, **settings}
        return subprocess.run(
            [*SERVICE_ARGV, *arguments],
            env=child_environment(reaper.run_tag, tmp_path, extra),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return start


@pytest.fixture
async def lonely(reaper: Reaper, tmp_path: Path, nobody: Port) -> AsyncIterator[tuple[Child, Port]]:
    """A service with a token whose Temporal is away."""
    port, journal = Port(), Journal(tmp_path / "journal.jsonl", announce=print)
    settings = {
        "SERVICE_PORT": str(port.number),
        "SERVICE_TOKEN": TOKEN,
        "TEMPORAL_ADDRESS": nobody.address,
    }
    child = Child(
        name="service",
        argv=SERVICE_ARGV,
        environment=child_environment(reaper.run_tag, tmp_path, settings),
        folder=tmp_path,
        log=tmp_path / "service.log",
        journal=journal,
    )
    try:
        async with ServiceClient(f"http://{port.address}") as api:
            await child.start_ready(api.lives, what="it lives", deadline_seconds=READY_SECONDS)
        yield child, port
    finally:
        await child.discard()
        port.release()
        journal.close()


def complaint(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a service that exited with 2."""
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    return line


# What keeps it from starting


def test_on_an_open_address_a_token_is_needed(start: Start) -> None:
    assert complaint(start("--host", "0.0.0.0")) == (  # noqa: S104 - it must refuse to
        "service: 0.0.0.0 can be reached from other machines: set SERVICE_TOKEN, or use 127.0.0.1."
    )


def test_a_token_that_no_header_can_carry_is_told_and_not_shown(start: Start) -> None:
    line = complaint(start(SERVICE_TOKEN=f"{TOKEN}\n{TOKEN}"))
    assert line.startswith("service: SERVICE_TOKEN has a space, a line break")
    assert TOKEN not in line


def test_a_port_in_use_is_told(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert complaint(start("--port", str(port))) == (
            f"service: port {port} on 127.0.0.1 cannot be used (Address already in use); "
            "choose another with --port or SERVICE_PORT."
        )


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_that_is_none_is_told(start: Start, port: str) -> None:
    line = complaint(start(f"--port={port}"))
    assert line == (
        f"service: argument --port: {port!r} is not a port. See --help for the options."
    )


def test_an_unknown_host_is_told(start: Start) -> None:
    line = complaint(start("--host", "no-such-host.invalid"))
    assert line == (
        "service: the host 'no-such-host.invalid' is unknown; correct --host or SERVICE_HOST."
    )


def test_settings_are_read_from_a_file_beside_it(start: Start, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SERVICE_PORT=70000\n")
    assert complaint(start()).startswith("service: SERVICE_PORT: ")


def test_a_file_that_cannot_be_read_is_told(start: Start, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"SERVICE_TOKEN=\xff\xfe")
    assert complaint(start()).endswith(".env cannot be read; fix it, or move it away.")


def test_a_broken_temporal_configuration_is_told(start: Start, tmp_path: Path) -> None:
    (tmp_path / "temporal.toml").write_text("this is no TOML")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    line = complaint(start("--port", str(port), TEMPORAL_CONFIG_FILE="temporal.toml"))
    assert line.startswith("service: cannot read the configuration of Temporal (")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_namespace_that_does_not_exist_is_told(start: Start, served: Served) -> None:
    address = served.bench.lab.stack.temporal.worker_environment["TEMPORAL_ADDRESS"]
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    ended = start("--port", str(port), TEMPORAL_ADDRESS=address, TEMPORAL_NAMESPACE="nowhere")
    assert complaint(ended) == (
        f"service: the Temporal namespace 'nowhere' does not exist at {address}; "
        "create it, or correct TEMPORAL_NAMESPACE."
    )


def test_help_names_what_may_be_set(start: Start) -> None:
    ended = start("--help")
    assert ended.returncode == 0
    for word in ("--host", "--port", "3007", "SERVICE_TOKEN", "TASK_QUEUE"):
        assert word in ended.stdout


def test_it_loads_neither_the_paid_client_nor_the_payment_journal() -> None:
    code = (
        "import sys, workflows.service.__main__; "
        "print([m for m in sys.modules if m.startswith(('google.genai', 'sqlalchemy'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# While Temporal is away


async def test_it_lives_and_answers_fast_while_temporal_is_away(
    lonely: tuple[Child, Port],
) -> None:
    _, port = lonely
    async with ServiceClient(f"http://{port.address}", TOKEN) as api:
        assert (await api.http.get("/health")).json() == {"status": "ok"}
        began = time.monotonic()
        responses = await asyncio.gather(
            api.http.get("/ready"),
            api.http.get("/api/operations"),
            api.http.get("/api/status/some"),
            api.post("/api/template-workflow", BODY),
            api.post("/api/pause/some"),
            api.post("/api/restart/some"),
            api.post("/api/decide/some", {"step": "character", "choice": "resend"}),
        )
        assert time.monotonic() - began < 8
    for response in responses:
        assert response.status_code == 503, response.url
        assert response.headers["Retry-After"] == "2"
        (sentence,) = errors(response)
        assert sentence.startswith("Temporal ")
    assert " Send it again with Idempotency-Key: " in errors(responses[3])[0]


async def test_it_ends_with_0_and_no_secret_in_its_log(lonely: tuple[Child, Port]) -> None:
    child, port = lonely
    async with ServiceClient(f"http://{port.address}", TOKEN) as api:
        await api.http.get("/api/status/some")
    async with ServiceClient(f"http://{port.address}", f"{TOKEN}-but-wrong") as api:
        assert (await api.http.get("/api/status/some")).status_code == 401
    child.send(signal.SIGTERM)
    assert await child.wait(deadline_seconds=15) == 0
    log = child.log.read_text()
    assert [line.partition("service: ")[2] for line in log.splitlines()] == [
        f"listening on http://{port.address}",
        "stopping",
        "stopped",
    ]
    assert TOKEN not in log


async def test_ctrl_c_ends_it_with_0(lonely: tuple[Child, Port]) -> None:
    child, _ = lonely
    child.send(signal.SIGINT)
    assert await child.wait(deadline_seconds=15) == 0


# Guards on the wire


@pytest.mark.asyncio(loop_scope="session")
async def test_a_body_that_is_too_large_is_refused_in_one_piece_or_in_many(
    served: Served,
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * (MAX_BODY_BYTES // 20)

    for content in (b" " * (MAX_BODY_BYTES + 1), chunks()):
        response = await served.api.http.post(
            "/api/template-workflow", content=content, headers={"Content-Type": "application/json"}
        )
        assert response.status_code == 413
        assert errors(response) == ["the body is larger than 3,145,728 bytes."]


@pytest.mark.asyncio(loop_scope="session")
async def test_the_largest_series_is_started(served: Served) -> None:
    """Its prompts fill what is allowed; Temporal takes them, and the workflow's own payloads."""
    prompts = [f"{n:04} {'é' * 490}" for n in range(1_000)]
    body = {"templateType": "series", "config": {"characterPrompt": "c", "videoPrompts": prompts}}
    headers = {"Idempotency-Key": "largest-series"}
    response = await served.api.http.post("/api/template-workflow", json=body, headers=headers)
    assert response.status_code == 202, response.text
    same = await served.api.http.post("/api/template-workflow", json=body, headers=headers)
    assert same.status_code == 202
    assert (await served.api.post("/api/cancel/largest-series")).status_code == 202
