"""`chaos up`: a whole stack that can be used by hand, and of which nothing is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from chaos.environment.temporal import connect
from chaos.process.reaper import tagged_processes
from chaos.process.waiting import wait_until
from tests.chaos.video.fake_api.bills import Billed, read_bills
from tests.chaos.video.fake_api.control import FakeApi
from tests.chaos.video.fake_api.settings import LatencyChange

PROJECT = Path(__file__).parents[3]
READY_SECONDS = 60
QUICK = LatencyChange(image_seconds=0.1, video_start_seconds=0.1, video_seconds=0.5)
VIDEO = {
    "templateType": "single",
    "operationId": "my-video",
    "config": {"characterPrompt": "a fox", "videoPrompt": "it jumps"},
}

Up = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def up() -> Iterator[Up]:
    """Starts the command; whatever becomes of a test, it is ended."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, cwd: Path = PROJECT) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "chaos", "up", "--workers", "1", *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _read_until(process: subprocess.Popen[str], last: str) -> str:
    """All that it says up to this line. Where it ends before, what it complains of."""
    assert process.stdout
    assert process.stderr
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith(last):
            return "".join(said)
    pytest.fail(f"it ended before it said {last!r}: {said} {process.stderr.read()}")


def _is_server(process: psutil.Process, mark: str, pid: int) -> bool:
    """Whether it is the Temporal server of the run that has this process id."""
    return f"chaos-run-{pid}-" in mark and "start-dev" in process.cmdline()


def _is_left(pid: int) -> bool:
    """Whether there is a process, or a folder, of the run that had this process id."""
    mark = f"chaos-run-{pid}-"
    folders = list(Path(tempfile.gettempdir()).glob(f"*{mark}*"))
    return bool(folders or [each for each, found in tagged_processes() if mark in found])


@pytest.mark.timeout(120)
async def test_all_of_it_can_be_used_and_ctrl_c_leaves_nothing(up: Up, tmp_path: Path) -> None:
    process = up(f"--keep={tmp_path / 'kept'}")
    said = _read_until(process, "Ctrl-C stops everything.")
    found = dict(re.findall(r"^(\S.*?) {2,}(?:http://)?([\d.]+:\d+)", said, re.MULTILINE))
    service = f"http://{found['service']}"

    assert f"Status page: {service}, HTTP API: {service}/docs" in said
    assert f"curl {service}/api/template-workflow" in said
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        assert "<title>" in (await http.get(service)).text
        asked_by_the_ui = await http.get(f"http://{found['Temporal UI']}/api/v1/namespaces")
        assert '"name":"default"' in asked_by_the_ui.text.replace(" ", "")
        async with FakeApi(f"http://{found['api']}") as api:
            await api.set_latencies(QUICK)
        assert (await http.post(f"{service}/api/template-workflow", json=VIDEO)).status_code == 202

        async def is_complete() -> bool:
            answer = await http.get(f"{service}/api/status/my-video")
            return bool(answer.json()["status"] == "completed")

        await wait_until(is_complete, what="the video is made", deadline_seconds=READY_SECONDS)
    client = await connect(found["Temporal"])
    assert (await client.get_workflow_handle("my-video").describe()).workflow_type == "SingleVideo"

    (server,) = (each for each, mark in tagged_processes() if _is_server(each, mark, process.pid))
    server.kill()
    _read_until(process, "temporal-server has ended; Ctrl-C stops the others.")

    process.send_signal(signal.SIGINT)
    rest, complaints = process.communicate(timeout=READY_SECONDS)

    assert (process.returncode, complaints) == (0, "")
    assert rest.splitlines()[-1] == f"Everything has stopped. Its files are in {tmp_path / 'kept'}."
    assert not _is_left(process.pid)
    assert (tmp_path / "kept" / "artifacts" / "my-video" / "video-001.mp4").exists()
    records = read_bills(tmp_path / "kept" / "ledger.jsonl")
    assert len([each for each in records if isinstance(each, Billed)]) == 2


@pytest.mark.timeout(90)
async def test_sigkill_leaves_nothing_either(up: Up) -> None:
    process = up()
    _read_until(process, "starting workers")
    assert _is_left(process.pid)

    process.kill()
    process.wait()

    await wait_until(
        lambda: not _is_left(process.pid), what="all is gone", deadline_seconds=READY_SECONDS
    )


@pytest.mark.timeout(90)
def test_ctrl_c_before_all_is_up_is_130_and_leaves_nothing(up: Up) -> None:
    process = up()
    _read_until(process, "starting workers")

    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=READY_SECONDS)

    assert (process.returncode, complaints) == (130, "")
    assert not _is_left(process.pid)


def test_a_folder_that_cannot_be_had_is_a_sentence(up: Up, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    process = up(f"--keep={tmp_path / 'file'}")
    said, complaints = process.communicate(timeout=READY_SECONDS)

    assert (process.returncode, said) == (2, "")
    assert "give another folder by --keep" in complaints


@pytest.mark.timeout(120)
async def test_a_guests_workers_are_kept_and_killed_ones_replaced(up: Up) -> None:
    """It has no supervisor, no front and nothing of its own to say."""
    process = up(cwd=PROJECT / "examples" / "orders")
    said = _read_until(process, "Ctrl-C stops everything.")
    found = dict(re.findall(r"^(\S.*?) {2,}(?:http://)?([\d.]+:\d+)", said, re.MULTILINE))
    (worker,) = re.findall(r"kill -9 (\d+)", said)

    assert found.keys() == {"Temporal UI", "Temporal", "payments", "carrier"}
    psutil.Process(int(worker)).kill()
    client = await connect(found["Temporal"])
    handle = await client.start_workflow(
        "Order",
        {"order_id": "by-hand", "amount_cents": 1, "address": "here"},
        id="by-hand",
        task_queue="orders",
    )
    await handle.result()

    process.send_signal(signal.SIGINT)
    rest, complaints = process.communicate(timeout=READY_SECONDS)
    assert (process.returncode, complaints) == (0, "")
    assert rest.splitlines()[-1] == "Everything has stopped."
    assert not _is_left(process.pid)
