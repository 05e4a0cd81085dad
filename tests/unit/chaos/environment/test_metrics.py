"""The metrics of any SDK, and of workers that serve nonsense, nothing, or far too much."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from chaos.environment import metrics
from chaos.environment.metrics import Metrics, Reading, ScrapeError, ports_in_a_row, read, scrape
from chaos.process.ports import Port
from tests.unit.chaos.hostile import HOSTILE

CORE = """\
# HELP temporal_request_latency Histogram of client request latencies
# TYPE temporal_request_latency histogram
temporal_request_latency_bucket{operation="Respond",service_name="temporal-core-sdk",le="50"} 4
temporal_request_latency_bucket{operation="Respond",service_name="temporal-core-sdk",le="+Inf"} 5
temporal_request_latency_sum{operation="Respond",service_name="temporal-core-sdk"} 1250
temporal_request_latency_count{operation="Respond",service_name="temporal-core-sdk"} 5
temporal_request_failure{operation="Respond",status_code="UNAVAILABLE",namespace="default"} 3
temporal_worker_task_slots_used{task_queue="q",worker_type="ActivityWorker"} 2
temporal_unknown_thing{task_queue="q"} 9
"""
"""As the Python, TypeScript, .NET and Ruby SDKs write it: milliseconds."""

GO = """\
# TYPE temporal_request_latency_seconds histogram
temporal_request_latency_seconds_bucket{operation="Respond",le="0.05"} 4
temporal_request_latency_seconds_bucket{operation="Respond",le="+Inf"} 5
temporal_request_latency_seconds_sum{operation="Respond"} 1.25
temporal_request_latency_seconds_count{operation="Respond"} 5
temporal_request_failure_total{operation="Respond",status_code="UNAVAILABLE"} 3 1700000000000
temporal_worker_task_slots_used{task_queue="q",worker_type="ActivityWorker"} 2.0
go_goroutines 12
"""
"""As the Go SDK writes it by tally, and the Java SDK by Micrometer: seconds, and `_total`."""

SECONDS = CORE.replace('le="50"', 'le="0.05"').replace(" 1250", " 1.25")
"""As the core writes it where durations are seconds and the name has no unit."""


@pytest.mark.parametrize("text", [CORE, GO, SECONDS], ids=["core", "go", "seconds"])
def test_each_sdk_tells_the_same(text: str) -> None:
    found = {reading.name: reading for reading in read(text)}

    assert found == {
        "request_latency_seconds": Reading(
            "request_latency_seconds",
            {"operation": "Respond"},
            value=1.25,
            count=5,
            buckets={"0.05": 4, "+Inf": 5},
        ),
        "request_failure": Reading(
            "request_failure", {"operation": "Respond", "status_code": "UNAVAILABLE"}, 3
        ),
        "worker_task_slots_used": Reading(
            "worker_task_slots_used", {"task_queue": "q", "worker_type": "ActivityWorker"}, 2
        ),
    }


def test_series_that_differ_in_other_labels_are_added_up() -> None:
    text = "".join(f'temporal_request{{operation="Poll",namespace="{n}"}} 2\n' for n in "abc")

    assert [(reading.labels, reading.value) for reading in read(text)] == [
        ({"operation": "Poll"}, 6)
    ]


def test_of_a_summary_the_quantiles_are_left_out() -> None:
    text = (
        'temporal_request_latency_seconds{operation="Poll",quantile="0.5"} 7\n'
        'temporal_request_latency_seconds_count{operation="Poll"} 4\n'
        'temporal_request_latency_seconds_sum{operation="Poll"} 2\n'
        "temporal_request_latency_seconds_max 9\n"
    )

    assert list(read(text)) == [
        Reading("request_latency_seconds", {"operation": "Poll"}, value=2.0, count=4)
    ]


def test_a_label_may_hold_any_text() -> None:
    (reading,) = read(r'temporal_request{operation="a\"b\\c\nd{}=, ", status_code="X" } 1')

    assert reading.labels == {"operation": 'a"b\\c\nd{}=, ', "status_code": "X"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00\xff" * 1_000,
        HOSTILE,
        "temporal_request NaN\ntemporal_request +Inf\ntemporal_request -Inf\n",
        "temporal_request one\ntemporal_request\n{} 1\ntemporal_request{ 1\n 1\n",
        'temporal_request{operation="' + "x" * 5_000 + '"} 1',
        "a" * 1_000_000,
        "temporal_request{" * 50_000,
    ],
)
def test_nonsense_is_nothing(text: str) -> None:
    assert not read(text)


def test_of_too_much_only_so_much_is_kept() -> None:
    series = "".join(f'temporal_request{{operation="{n}"}} 1\n' for n in range(5_000))
    buckets = "".join(f'temporal_request_latency_bucket{{le="{n}"}} 1\n' for n in range(5_000))

    assert len(read(series)) == metrics.MOST_SERIES
    (reading,) = read(buckets)
    assert len(reading.buckets) == metrics.MOST_BUCKETS
    assert all(
        len(value) <= 120
        for value in read('request{operation="%s"} 1' % ("y" * 300))[0].labels.values()
    )


@pytest.mark.parametrize("label", ["a" * 3_900, 'a="' * 1_200], ids=["name", "quotes"])
def test_nonsense_holds_nobody_up(label: str) -> None:
    """It is read in the loop that all cases share: this took 100 s for the most that is read."""
    text = "".join(f"temporal_request{{{label}{number}}} 1\n" for number in range(100))
    began = time.process_time()
    read(text)

    assert time.process_time() - began < 5


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def _serving(
    answer: bytes, *, hangs: bool = False, endless: bool = False
) -> AsyncIterator[int]:
    done: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done.append(asyncio.Event())
        with contextlib.suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            while endless:
                writer.write(b"temporal_request 1\n" * 5_000)
                await writer.drain()
            if hangs:
                await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        done[-1].set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for each in done:
            await each.wait()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


async def test_a_worker_is_asked() -> None:
    async with _serving(OK + b"\r\ntemporal_request 7\n") as port:
        (reading,) = await scrape(port)

    assert (reading.name, reading.value) == ("request", 7)


async def test_an_answer_ends_where_it_says_though_the_connection_stays_open() -> None:
    body = b"temporal_request 7\n"
    whole = OK + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    async with _serving(whole, hangs=True) as port:
        assert [reading.value for reading in await scrape(port)] == [7]


@pytest.mark.parametrize(
    ("answer", "hangs", "endless", "why"),
    [
        (b"", True, False, "no answer within"),
        (OK + b"\r\n", True, False, "no answer within"),
        (OK + b"\r\n", False, True, "larger than 1024 KB"),
        (b"HTTP/1.1 500 Oops\r\n\r\ntemporal_request 1\n", False, False, "not the status 200"),
        (b"SSH-2.0-x\r\n", False, False, "not the status 200"),
        (b"", False, False, "not the status 200"),
    ],
)
async def test_one_that_hangs_or_serves_no_end_is_left_out(
    answer: bytes,
    hangs: bool,
    endless: bool,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "DEADLINE_SECONDS", 0.5 if hangs else 20.0)
    async with _serving(answer, hangs=hangs, endless=endless) as port:
        with pytest.raises(ScrapeError, match=why):
            await scrape(port)


async def test_one_that_is_dead_is_left_out() -> None:
    port = Port()
    try:
        with pytest.raises(ScrapeError, match="no answer"):
            await scrape(port.number)
    finally:
        port.release()


def test_a_supervisor_gets_ports_that_its_workers_can_count_up() -> None:
    ports = ports_in_a_row(3)
    try:
        first = ports[0].number
        assert [port.number for port in ports] == [first, first + 1, first + 2]
        assert Metrics("METRICS").setting(ports[0]) == {"METRICS": f"127.0.0.1:{first}"}
        assert Metrics("PORT", "{port}").setting(ports[1]) == {"PORT": str(first + 1)}
    finally:
        for port in ports:
            port.release()
