"""What is done once, before workers are forked: it must leave nothing half done behind."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys

import certifi
import pytest
from pydantic import SecretStr

from workflows.gemini import Gemini
from workflows.settings import Settings
from workflows.transport import tls_context

SEEN = """
import json, os, sys
import workflows.preload
from workflows.gemini import _MODELS
fds = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd") if int(fd) > 2]
links = [os.readlink(fd) for fd in fds if os.path.lexists(fd)]
print(json.dumps({
    "threads": len(os.listdir("/proc/self/task")),
    "sockets": [link for link in links if link.startswith("socket")],
    "worker": "workflows.worker" in sys.modules,
    "late": "httpcore" in sys.modules,
    "incomplete": [model.__name__ for model in _MODELS if not model.__pydantic_complete__],
}))
"""

Made = list[dict[str, object]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """What every further TLS context was made with."""
    found: Made = []
    real = ssl.create_default_context

    def make(**arguments: object) -> ssl.SSLContext:
        found.append(arguments)
        return real()

    monkeypatch.setattr(ssl, "create_default_context", make)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return found


async def _make_client() -> None:
    async with Gemini(Settings(gemini_api_key=SecretStr("AIza-canary-of-the-preload-tests"))):
        pass


def test_it_has_the_worker_and_neither_a_thread_nor_a_connection() -> None:
    run = subprocess.run([sys.executable, "-c", SEEN], check=True, capture_output=True, text=True)

    assert json.loads(run.stdout) == {
        "threads": 1,
        "sockets": [],
        "worker": True,
        "late": True,
        "incomplete": [],
    }


async def test_a_client_makes_no_context_of_its_own_once_there_is_one(made: Made) -> None:
    first = tls_context()
    made.clear()

    await _make_client()

    assert made == []
    assert tls_context() is first


async def test_certificates_that_the_environment_names_are_read_anew_for_each(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())

    await _make_client()
    await _make_client()

    assert made == [{"cafile": certifi.where()}] * 2
