"""The proxy's process: its start, its end, its control port and its journal."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import pytest_asyncio

from chaos.network.control import Network, NetworkError
from chaos.network.journal import (
    Closed,
    Effect,
    Hit,
    Opened,
    PutOn,
    Started,
    Stopped,
    TakenOff,
    Unreachable,
)
from chaos.network.toxics import BlackHole, Down, Latency, ResetPeer, Stream
from chaos.process.child import ChildError, child_environment
from chaos.process.ports import Port
from chaos.process.reaper import RUN_TAG, Reaper
from chaos.process.waiting import wait_until
from tests.integration.network.bed import DEADLINE_SECONDS, Bed, End, argv, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

ITSELF: dict[str, object] = {"upstream": "its own address"}


@pytest_asyncio.fixture(loop_scope="module")
async def own(reaper: Reaper, listener: socket.socket, tmp_path: Path) -> AsyncIterator[Bed]:
    """A proxy of the test's own, to be ended."""
    upstream = "127.0.0.1:{}".format(*listener.getsockname()[1:])
    async with running(tmp_path, reaper.run_tag, upstream) as proxy:
        bed = Bed(proxy, listener)
        yield bed
        bed.hang_up()


@pytest.fixture
def ports() -> Iterator[dict[str, object]]:
    """Free ports, by the options that they are for."""
    held = {"listen": Port(), "control": Port()}
    yield {name: port.number for name, port in held.items()}
    for port in held.values():
        port.release()


def run(*options: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # our own module
        argv(*options),
        env=child_environment("", folder, {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


class TestStart:
    def refused(self, folder: Path, **changed: object) -> str:
        """What it says when it refuses to start with these options."""
        given = {"listen": 1, "upstream": "127.0.0.1:9", "control": 2, "journal": folder / "n"}
        options = [
            part for name, value in (given | changed).items() for part in (f"--{name}", value)
        ]
        result = run(*options, folder=folder)
        assert result.returncode == 2
        assert result.stderr.count("\n") == 1
        return result.stderr

    @pytest.mark.parametrize("which", ["listen", "control"])
    async def test_a_port_in_use_is_explained(
        self, tmp_path: Path, ports: dict[str, object], which: str
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as occupant:
            taken = occupant.getsockname()[1]
            said = self.refused(tmp_path, **{**ports, which: taken})
        assert f"Port {taken} on 127.0.0.1 cannot be used (Address already in use)" in said

    @pytest.mark.parametrize(
        ("changed", "sentence"),
        [
            ({"listen": 99999}, "Port 99999"),
            ({"control": 0}, "Port 0"),
            ({"listen": "http"}, "--listen"),
            ({"upstream": "localhost"}, "'localhost' is not HOST:PORT"),
            ({"upstream": "localhost:0"}, "is not HOST:PORT"),
            (ITSELF, "cannot be its own upstream"),
            ({"seed": "x"}, "--seed"),
            ({"lisden": "1"}, "--lisden"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    async def test_a_bad_option_is_explained(
        self, tmp_path: Path, ports: dict[str, object], changed: dict[str, object], sentence: str
    ) -> None:
        own = {"upstream": f"127.0.0.1:{ports['listen']}"} if changed == ITSELF else changed
        assert sentence in self.refused(tmp_path, **{**ports, **own})

    async def test_a_journal_that_cannot_be_written_is_explained(
        self, tmp_path: Path, ports: dict[str, object]
    ) -> None:
        said = self.refused(tmp_path, **ports, journal=tmp_path / "none" / "n")
        assert "cannot be opened for writing" in said


class TestEnd:
    async def test_it_ends_at_once_when_told(self, own: Bed) -> None:
        pair = await own.pair()
        await own.network.add(BlackHole(stream=Stream.BOTH))
        await pair.client.send(b"held")
        began = time.monotonic()
        own.proxy.child.send(signal.SIGTERM)
        assert await own.proxy.child.wait(DEADLINE_SECONDS) == 0
        assert time.monotonic() - began < 1
        assert await pair.client.is_closed()
        assert await pair.server.is_closed()
        (closed,) = own.all_of(Closed)
        assert (closed.because, closed.upstream.dropped_bytes) == ("proxy_stopped", 4)
        assert len(own.all_of(Stopped)) == 1
        assert own.proxy.child.last_lines() == "(silent)"

    async def test_what_it_did_is_known_after_a_sigkill(self, own: Bed) -> None:
        pair = await own.pair()
        await own.network.add(BlackHole(stream=Stream.UPSTREAM))
        await pair.client.send(b"held")

        async def hit() -> bool:
            return bool(own.all_of(Hit))

        await wait_until(hit, what="the hit is on file", deadline_seconds=DEADLINE_SECONDS)
        await own.proxy.child.kill()
        assert [len(own.all_of(kind)) for kind in (Opened, PutOn, Hit)] == [1, 1, 1]
        assert own.all_of(Stopped) == []

    async def test_it_can_start_again_on_its_port_and_journal(self, own: Bed) -> None:
        await own.pair()
        await own.proxy.child.kill()
        await own.proxy.start()
        pair = await own.pair()
        await pair.trip_seconds(upstream=True)
        assert len(own.all_of(Started)) == 1
        assert [record.pid for record in own.proxy.records() if isinstance(record, Started)][
            -1
        ] == own.proxy.child.pid

    async def test_nobody_else_gets_its_port_while_it_is_down(self, own: Bed) -> None:
        own.proxy.port.release()  # or the test itself would hold it
        async with own.network.applied(Down()):
            with (
                contextlib.closing(socket.socket()) as other,
                pytest.raises(OSError, match="in use"),
            ):
                other.bind(("127.0.0.1", own.proxy.port.number))
        pair = await own.pair()
        await pair.trip_seconds(upstream=True)

    async def test_it_dies_with_its_run(self, tmp_path: Path) -> None:
        with contextlib.ExitStack() as run:
            reaper = run.enter_context(Reaper())
            async with running(tmp_path, reaper.run_tag, "127.0.0.1:9") as proxy:
                assert psutil.Process(proxy.child.pid).environ()[RUN_TAG] == reaper.run_tag
                run.close()
                assert await proxy.child.wait(DEADLINE_SECONDS) == -signal.SIGKILL

    async def test_a_journal_that_fails_ends_it(self, reaper: Reaper, tmp_path: Path) -> None:
        (tmp_path / "network.jsonl").symlink_to("/dev/full")
        with pytest.raises(ChildError, match="make room for it"):
            async with running(tmp_path, reaper.run_tag, "127.0.0.1:9"):
                pass


async def test_a_server_that_is_not_there_is_a_reset(reaper: Reaper, tmp_path: Path) -> None:
    with contextlib.closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        upstream = "127.0.0.1:{}".format(*nobody.getsockname()[1:])
        async with running(tmp_path, reaper.run_tag, upstream) as proxy:
            with socket.create_connection(("127.0.0.1", proxy.port.number)) as sock:
                name = "{}:{}".format(*sock.getsockname())
                assert await End(sock).is_reset()
            (told,) = [r for r in proxy.records() if isinstance(r, Unreachable)]
    assert "refused" in told.reason
    assert told.client == name


class TestControl:
    async def test_toxics_are_listed_in_their_order(self, bed: Bed) -> None:
        toxics = (
            Latency(stream=Stream.UPSTREAM, latency_seconds=1),
            BlackHole(name="hole", stream=Stream.BOTH),
        )
        for toxic in toxics:
            await bed.network.add(toxic)
        assert await bed.network.toxics() == toxics
        await bed.network.remove("latency_upstream")
        assert await bed.network.toxics() == toxics[1:]

    async def test_a_name_is_used_once(self, bed: Bed) -> None:
        await bed.network.add(BlackHole(stream=Stream.BOTH))
        with pytest.raises(NetworkError, match="A toxic named black_hole is on"):
            await bed.network.add(BlackHole(stream=Stream.BOTH))

    async def test_what_is_not_on_cannot_be_removed_or_replaced(self, bed: Bed) -> None:
        with pytest.raises(NetworkError, match="No toxic named fire is on"):
            await bed.network.remove("fire")
        with pytest.raises(NetworkError, match="No toxic named black_hole is on"):
            await bed.network.replace(BlackHole(stream=Stream.BOTH))

    async def test_a_toxic_of_a_block_may_be_lifted_in_it(self, bed: Bed) -> None:
        async with bed.network.applied(BlackHole(stream=Stream.BOTH)):
            assert len(await bed.network.toxics()) == 1
            await bed.network.clear()
        assert await bed.network.toxics() == ()

    async def test_a_bad_toxic_is_explained(self, bed: Bed) -> None:
        toxic = Latency.model_construct(stream=Stream.UPSTREAM, latency_seconds=-1)
        with pytest.raises(NetworkError, match="greater than or equal to 0"):
            await bed.network.add(toxic)

    async def test_a_proxy_that_is_not_there_is_not_healthy(self, ports: dict[str, object]) -> None:
        async with Network(f"http://127.0.0.1:{ports['control']}") as network:
            assert not await network.health()
            with pytest.raises(httpx.TransportError):
                await network.toxics()

    async def test_connections_are_told_with_their_bytes(self, bed: Bed) -> None:
        pair = await bed.pair()
        await pair.trip_seconds(upstream=True, data=b"question")
        await bed.network.add(BlackHole(stream=Stream.DOWNSTREAM))
        await pair.server.send(b"answer")

        async def has_come() -> bool:
            (status,) = await bed.network.connections()
            return status.downstream.held_bytes == 6

        await wait_until(has_come, what="6 are held", deadline_seconds=DEADLINE_SECONDS)
        (status,) = await bed.network.connections()
        assert status.client == pair.client.name
        assert status.via == "{}:{}".format(*pair.server.sock.getpeername())
        assert (status.upstream.received_bytes, status.upstream.sent_bytes) == (8, 8)


class TestJournal:
    async def test_it_tells_which_connection_was_hit_and_how(self, bed: Bed) -> None:
        pair, _idle = await bed.pair(), await bed.pair()
        await pair.trip_seconds(upstream=True)
        async with bed.network.applied(BlackHole(stream=Stream.UPSTREAM)) as applied:
            await pair.client.send(b"held")
            await pair.server.hears_nothing(0.2)
        assert await pair.server.receive(4) == b"held"
        (put_on,), (taken_off,) = bed.all_of(PutOn), bed.all_of(TakenOff)
        (hit,), (effect,) = bed.all_of(Hit), bed.all_of(Effect)
        mine = next(
            opened.connection for opened in bed.all_of(Opened) if opened.client == pair.client.name
        )
        assert put_on.connections == applied.connections
        assert (hit.name, hit.connection, hit.stream) == (applied.name, mine, Stream.UPSTREAM)
        assert (effect.connection, effect.held_bytes) == (mine, 4)
        assert put_on.at <= hit.at <= taken_off.at

    async def test_it_tells_why_a_connection_ended(self, bed: Bed) -> None:
        pair = await bed.pair()
        await bed.network.add(ResetPeer(stream=Stream.UPSTREAM))
        await pair.client.send(b"lost")
        assert await pair.client.is_reset()
        (closed,) = bed.all_of(Closed)
        assert (closed.because, closed.upstream.dropped_bytes) == ("reset_peer_upstream", 4)
