"""The stand-in's process, and Google's real client pointed at it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from google import genai
from google.genai import types
from google.genai.client import AsyncClient

from chaos.process.waiting import wait_until
from tests.chaos.video.fake_api.bills import Answered, Billed, Received, Records, read_bills
from tests.chaos.video.fake_api.control import FakeApi

KEY = "test-key-7f3a"
DEADLINE_SECONDS = 10.0
_FAST = ("--image-seconds", "0", "--video-start-seconds", "0", "--video-seconds", "0")
_PROJECT = Path(__file__).parents[3]


def argv(*options: str) -> list[str]:
    return [sys.executable, "-m", "tests.chaos.video.fake_api", *options]


def environment(key: str | None) -> dict[str, str]:
    """A clean environment, with the key if there is one."""
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_PROJECT)}
    return clean if key is None else clean | {"FAKE_API_KEY": key}


class Process:
    """The process; it can be killed and started again on its port and bills.

    Its port is reserved, by a socket that is bound and does not listen, until `close`.
    """

    def __init__(self, folder: Path, key: str = KEY) -> None:
        self._key = key
        self.bills_path = folder / "ledger.jsonl"
        self.stdout_path = folder / "stdout"
        self.stderr_path = folder / "stderr"
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port: int = self._reserved.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def child(self) -> subprocess.Popen[bytes]:
        assert self._child is not None
        return self._child

    def start(self, *options: str) -> None:
        """Start it; returns when it is ready."""
        with self.stdout_path.open("ab") as stdout, self.stderr_path.open("ab") as stderr:
            self._child = subprocess.Popen(  # our own module
                argv("--port", str(self.port), "--bills", str(self.bills_path), *_FAST, *options),
                env=environment(self._key),
                stdout=stdout,
                stderr=stderr,
            )
        end = time.monotonic() + DEADLINE_SECONDS
        while not self._ready():
            assert time.monotonic() < end, "not ready in time"
            time.sleep(0.01)

    def _ready(self) -> bool:
        assert self.child.poll() is None, self.stderr_path.read_text()
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port)) as probe,
        ):
            probe.sendall(b"GET /control/health HTTP/1.1\r\nhost: x\r\n\r\n")
            return probe.recv(100).startswith(b"HTTP/1.1 200")
        return False

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def end(self) -> int:
        """Ask it to end; its exit code."""
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(timeout=DEADLINE_SECONDS)

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        self._reserved.close()


class Service:
    """A test's view of a running stand-in: only what was recorded since it began."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = process.url
        self.control = FakeApi(process.url)
        self._begin = len(read_bills(process.bills_path))

    def begin(self) -> None:
        """Count the records from here on."""
        self._begin = len(read_bills(self.process.bills_path))

    def records(self) -> Records:
        return read_bills(self.process.bills_path)[self._begin :]

    async def settled(self) -> Records:
        """The records, with the answer of every reply that arrived."""
        return (await self.control.records())[self._begin :]

    def bills(self) -> tuple[Billed, ...]:
        return tuple(each for each in self.records() if isinstance(each, Billed))

    def receipts(self) -> tuple[Received, ...]:
        return tuple(each for each in self.records() if isinstance(each, Received))

    async def answers(self, number: int = 1) -> tuple[Answered, ...]:
        """The recorded answers, as soon as there are `number` of them."""

        def found() -> tuple[Answered, ...]:
            return tuple(each for each in self.records() if isinstance(each, Answered))

        await wait_until(
            lambda: len(found()) >= number,
            what=f"{number} answers are recorded",
            deadline_seconds=DEADLINE_SECONDS,
        )
        return found()

    async def quiet(self) -> None:
        """Return once every request has its answer in the bills."""

        def unanswered() -> set[str]:
            records = self.records()
            answered = {each.request_id for each in records if isinstance(each, Answered)}
            return {each.request_id for each in records} - answered

        await wait_until(
            lambda: not unanswered(), what="all is quiet", deadline_seconds=DEADLINE_SECONDS
        )

    async def answer(self) -> Answered:
        """The first recorded answer."""
        return (await self.answers())[0]


@contextlib.asynccontextmanager
async def google_client(url: str, key: str = KEY) -> AsyncIterator[AsyncClient]:
    """Google's client without its hidden retries and redirects."""
    http = httpx.AsyncClient(follow_redirects=False, trust_env=False)
    options = types.HttpOptions(
        base_url=url,
        retry_options=types.HttpRetryOptions(attempts=1),
        httpx_async_client=http,
        timeout=int(DEADLINE_SECONDS * 1000),
    )
    async with http:
        yield genai.Client(api_key=key, vertexai=False, http_options=options).aio
