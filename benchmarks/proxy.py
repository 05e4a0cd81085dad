"""The suite's proxy beside Toxiproxy: `python -m benchmarks.proxy`.

Both stand between the same client and server, in turns, and beside them a connection without
any proxy. The server and each proxy are processes of their own; on two cores they share what there
is, which is the same for both. Toxiproxy's server is looked for in TOXIPROXY and on the PATH;
`go install github.com/Shopify/toxiproxy/v2/cmd/server@latest` makes it. Without one, only ours is
measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from chaos.evidence.journal import Journal
from chaos.network.control import Network
from chaos.network.toxics import AnyToxic, Bandwidth, Latency, ResetPeer, Stream
from chaos.process.child import Child, child_environment
from chaos.process.ports import Port
from chaos.process.reaper import Reaper

ROUNDS = 5
TRIPS = 2000
"""Of one byte, in each round."""
DELAYED_TRIPS = 60
STREAM_BYTES = 256 << 20
LATENCY_SECONDS = 0.05
JITTER_SECONDS = 0.01
NARROW_BYTES_PER_SECOND = 1_000_000
NARROW_BYTES = 2 << 20
RESETS = 20
RESET_SECONDS = 0.1

_BLOCK = bytes(1 << 18)
_DEADLINE_SECONDS = 30.0
_ECHO, _STREAM, _NARROW = b"e", b"s", b"n"
_DIRECT, _OURS, _THEIRS = "direct", "chaos.network", "Toxiproxy"

PLAIN = Latency(stream=Stream.DOWNSTREAM, latency_seconds=LATENCY_SECONDS)
JITTERED = Latency(
    stream=Stream.DOWNSTREAM, latency_seconds=LATENCY_SECONDS, jitter_seconds=JITTER_SECONDS
)
NARROW = Bandwidth(stream=Stream.UPSTREAM, bytes_per_second=NARROW_BYTES_PER_SECOND)
RESET = ResetPeer(stream=Stream.DOWNSTREAM, timeout_seconds=RESET_SECONDS)

Spoil = Callable[[AnyToxic | None], Awaitable[None]]
"""Puts one toxic on in the place of all others; None: none."""


@dataclass(frozen=True)
class Way:
    """A way to the server: an address, and how it is made bad."""

    address: tuple[str, int]
    spoil: Spoil | None = None


@dataclass
class Measured:
    """What one way took: seconds of each trip and reset, bytes per second of each stream."""

    trips: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    jittered: list[float] = field(default_factory=list)
    resets: list[float] = field(default_factory=list)
    bytes_per_second: list[float] = field(default_factory=list)
    narrow_bytes_per_second: list[float] = field(default_factory=list)


def serve() -> None:
    """The server, in a process of its own: echoes bytes, or swallows a stream."""
    listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection, contextlib.suppress(ConnectionError):
        what = connection.recv(1)
        if what == _ECHO:
            while data := connection.recv(1):
                connection.sendall(data)
            return
        left_bytes = STREAM_BYTES if what == _STREAM else NARROW_BYTES
        room = bytearray(1 << 18)
        while left_bytes:
            left_bytes -= connection.recv_into(room)
        connection.sendall(b"!")


def _dial(way: Way, what: bytes) -> socket.socket:
    connection = socket.create_connection(way.address, timeout=_DEADLINE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(what)
    return connection


def time_trips(way: Way, count: int) -> list[float]:
    """Round trips of one byte, one after the other; seconds of each."""
    seconds = []
    with _dial(way, _ECHO) as connection:
        for _ in range(count):
            began = time.perf_counter()
            connection.sendall(b"x")
            connection.recv(1)
            seconds.append(time.perf_counter() - began)
    return seconds


def time_stream(way: Way, what: bytes = _STREAM, size_bytes: int = STREAM_BYTES) -> float:
    """One stream to the server, until it says that it has all; bytes per second."""
    with _dial(way, what) as connection:
        began = time.perf_counter()
        for _ in range(size_bytes // len(_BLOCK)):
            connection.sendall(_BLOCK)
        connection.recv(1)
        return size_bytes / (time.perf_counter() - began)


def time_resets(way: Way) -> list[float]:
    """Seconds from a byte that is sent until its connection is reset; anything else is a bug."""
    seconds = []
    for _ in range(RESETS):
        with _dial(way, _ECHO) as connection:
            began = time.perf_counter()
            connection.sendall(b"x")
            try:
                connection.recv(1)
            except ConnectionResetError:
                seconds.append(time.perf_counter() - began)
            else:
                raise RuntimeError("the connection was not reset.")
    return seconds


async def _measure(way: Way, measured: Measured) -> None:
    measured.trips += await asyncio.to_thread(time_trips, way, TRIPS)
    measured.bytes_per_second.append(await asyncio.to_thread(time_stream, way))
    if way.spoil is None:
        return
    await way.spoil(PLAIN)
    measured.plain += await asyncio.to_thread(time_trips, way, DELAYED_TRIPS)
    await way.spoil(JITTERED)
    measured.jittered += await asyncio.to_thread(time_trips, way, DELAYED_TRIPS)
    await way.spoil(NARROW)
    measured.narrow_bytes_per_second.append(
        await asyncio.to_thread(time_stream, way, _NARROW, NARROW_BYTES)
    )
    await way.spoil(RESET)
    measured.resets += await asyncio.to_thread(time_resets, way)
    await way.spoil(None)


@dataclass(frozen=True)
class Bed:
    """Where the processes live; all carry the run's tag."""

    reaper: Reaper
    folder: Path
    journal: Journal

    @asynccontextmanager
    async def running(
        self, name: str, argv: Sequence[str], is_ready: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Child]:
        """A process, until the end of the block."""
        environment = child_environment(self.reaper.run_tag, self.folder, {})
        log = self.folder / f"{name}.log"
        child = Child(name, argv, environment, self.folder, log, self.journal)
        try:
            await child.start_ready(is_ready, what=name, deadline_seconds=_DEADLINE_SECONDS)
            yield child
        finally:
            await child.discard()


@asynccontextmanager
async def ours(bed: Bed, upstream: Port) -> AsyncIterator[Way]:
    """The suite's proxy."""
    port, control = Port(), Port()
    argv = [
        *(sys.executable, "-m", "chaos.network", "--listen", str(port.number)),
        *("--upstream", upstream.address, "--control", str(control.number)),
        *("--journal", str(bed.folder / "network.jsonl")),
    ]
    async with Network(f"http://{control.address}") as network:

        async def spoil(toxic: AnyToxic | None) -> None:
            await network.clear()
            if toxic:
                await network.add(toxic)

        async with bed.running(_OURS, argv, network.health):
            yield Way(("127.0.0.1", port.number), spoil)
    port.release()
    control.release()


@asynccontextmanager
async def theirs(bed: Bed, upstream: Port, program: Path) -> AsyncIterator[Way]:
    """Toxiproxy, with its own defaults."""
    port, control = Port(), Port()
    argv = [str(program), "-host", "127.0.0.1", "-port", str(control.number)]
    async with (
        httpx.AsyncClient(base_url=f"http://{control.address}", trust_env=False) as client,
        bed.running(_THEIRS, argv, control.is_open),
    ):

        async def send(path: str, body: Mapping[str, object]) -> None:
            (await client.post(path, json=body)).raise_for_status()

        async def spoil(toxic: AnyToxic | None) -> None:
            await send("/reset", {})
            if toxic:
                await send("/proxies/bench/toxics", _as_theirs(toxic))

        names = {"name": "bench", "listen": port.address, "upstream": upstream.address}
        await send("/proxies", {**names, "enabled": True})
        yield Way(("127.0.0.1", port.number), spoil)
    port.release()
    control.release()


def _as_theirs(toxic: AnyToxic) -> Mapping[str, object]:
    """A toxic in Toxiproxy's units: milliseconds, and KB per second."""
    match toxic:
        case Latency():
            attributes = {
                "latency": round(toxic.latency_seconds * 1000),
                "jitter": round(toxic.jitter_seconds * 1000),
            }
        case Bandwidth():
            attributes = {"rate": round(toxic.bytes_per_second / 1000)}
        case ResetPeer():
            attributes = {"timeout": round(toxic.timeout_seconds * 1000)}
        case _:
            raise ValueError(f"{toxic.type} is not compared.")
    return {"type": toxic.type, "stream": str(toxic.stream), "attributes": attributes}


def find_toxiproxy() -> Path | None:
    """Its server, which `go install` names `server`, as it names many; asked who it is."""
    named = os.environ.get("TOXIPROXY")
    found = [named] if named else [shutil.which("toxiproxy-server"), shutil.which("server")]
    for program in filter(None, found):
        try:
            said = subprocess.run(  # noqa: S603 - the user's own program
                [program, "-version"], capture_output=True, text=True, timeout=10, check=False
            )
        except OSError:
            continue
        if "toxiproxy" in said.stdout + said.stderr:
            return Path(program)
    return None


async def run(reaper: Reaper) -> None:
    """Measure all ways in turns, and print the table."""
    folder = reaper.folder / "benchmark"
    folder.mkdir()
    journal = Journal(folder / "journal.jsonl", lambda _: None)
    bed, upstream, program = Bed(reaper, folder, journal), Port(), find_toxiproxy()
    if program is None:
        print("without Toxiproxy: set TOXIPROXY to its server, or put it on the PATH")  # noqa: T201 - it says what it found
    argv = [sys.executable, "-m", "benchmarks.proxy", "serve", str(upstream.number)]
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(bed.running("server", argv, upstream.is_open))
            ways = {_DIRECT: Way(("127.0.0.1", upstream.number))}
            ways[_OURS] = await stack.enter_async_context(ours(bed, upstream))
            if program:
                ways[_THEIRS] = await stack.enter_async_context(theirs(bed, upstream, program))
            _print_table(await _measure_all(ways))
    finally:
        upstream.release()
        journal.close()


async def _measure_all(ways: Mapping[str, Way]) -> dict[str, Measured]:
    measured = {name: Measured() for name in ways}
    for number in range(ROUNDS):
        # In another order each time: whoever comes first finds a cooler processor.
        names = list(ways)[number % len(ways) :] + list(ways)[: number % len(ways)]
        for name in names:
            await _measure(ways[name], measured[name])
    return measured


def _print_table(measured: Mapping[str, Measured]) -> None:
    direct = measured[_DIRECT]
    for line in (
        *("| way | round trip µs | p99 µs | ratio | MB/s | ratio |", "|---|---|---|---|---|---|"),
        *(_plain_row(name, what, direct) for name, what in measured.items()),
        *("", "| way | asked | added: median ms | deviation ms | least ms | most ms |"),
        "|---|---|---|---|---|---|",
        *(row for name, what in measured.items() for row in _latency_rows(name, what)),
        *("", "| way | asked | reset after: median ms | deviation ms | least ms | most ms |"),
        "|---|---|---|---|---|---|",
        *(row for name, what in measured.items() for row in _reset_rows(name, what)),
        *(
            "",
            "| way | asked KB/s | median KB/s | least KB/s | most KB/s |",
            "|---|---|---|---|---|",
        ),
        *(row for name, what in measured.items() for row in _narrow_rows(name, what)),
    ):
        print(line, flush=True)  # noqa: T201 - it says what it found


def _plain_row(name: str, what: Measured, direct: Measured) -> str:
    """Without a toxic; the ratios are to a connection without a proxy."""
    trip, direct_trip = statistics.median(what.trips), statistics.median(direct.trips)
    speed = statistics.median(what.bytes_per_second)
    direct_speed = statistics.median(direct.bytes_per_second)
    p99 = statistics.quantiles(what.trips, n=100)[-1]
    return (
        f"| {name} | {trip * 1e6:.0f} | {p99 * 1e6:.0f} | {trip / direct_trip:.1f}x "
        f"| {speed / 1e6:.0f} | {speed / direct_speed:.2f}x |"
    )


def _latency_rows(name: str, what: Measured) -> Iterator[str]:
    """What was added to the median of a round trip without the toxic."""
    trip = statistics.median(what.trips)
    for asked, seconds in (("50 ms", what.plain), ("50 ± 10 ms", what.jittered)):
        if seconds:
            yield f"| {name} | {asked} | {_spread([one - trip for one in seconds])} |"


def _reset_rows(name: str, what: Measured) -> Iterator[str]:
    if what.resets:
        yield f"| {name} | {RESET_SECONDS * 1000:g} ms | {_spread(what.resets)} |"


def _narrow_rows(name: str, what: Measured) -> Iterator[str]:
    found = [speed / 1000 for speed in what.narrow_bytes_per_second]
    if found:
        asked = NARROW_BYTES_PER_SECOND / 1000
        row = f"{statistics.median(found):.0f} | {min(found):.0f} | {max(found):.0f}"
        yield f"| {name} | {asked:g} | {row} |"


def _spread(seconds: Sequence[float]) -> str:
    found = [one * 1000 for one in seconds]
    return (
        f"{statistics.median(found):.2f} | {statistics.stdev(found):.2f} "
        f"| {min(found):.2f} | {max(found):.2f}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    with Reaper() as started:
        asyncio.run(run(started))
