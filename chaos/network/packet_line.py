"""The links of one client below TCP: it passes IP packets between two private networks.

The client is in the `near` one. In the `far` one a socket listens for each link, and what comes
there goes on to the real address. So the kernel speaks TCP at both ends, and only packets pass
between them, one by one, through this process.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from chaos.network.behaviour import Stream
from chaos.network.journal import RecordFile
from chaos.network.packets import (
    Began,
    Chance,
    Ended,
    Fate,
    Harm,
    Harmed,
    Opened,
    Progress,
    Segment,
    SentAgain,
    segment_of,
)
from chaos.network.proxy import split_address
from chaos.network.tun import PrivateNetwork, TunError

NEAR, FAR = "192.0.2.1", "192.0.2.2"
"""The addresses of both ends, in each pair of networks: of a range that nobody has (RFC 5737)."""

OVERTAKEN_BY, LONGEST_SECONDS = 3, 0.05
"""A packet that is reordered waits for so many later ones, the number after which TCP takes it for
lost, and no longer than that.
"""

_PACKET_BYTES = 1 << 16
_AT_ONCE = 64
"""Packets that are read before other work of this process has its turn."""

_CHUNK_BYTES = 1 << 16


@dataclass
class _Held:
    """A packet that waits for later ones to pass."""

    packet: bytes
    segment: Segment
    timer: asyncio.TimerHandle
    overtaken_by: int = 0


@dataclass
class _Harming:
    """A harm that is on, and what it has done so far."""

    chances: Mapping[Stream, Chance]
    counts: Counter[Fate] = field(default_factory=Counter)
    held: dict[Stream, list[_Held]] = field(
        default_factory=lambda: {Stream.UPSTREAM: [], Stream.DOWNSTREAM: []}
    )


class PacketLine:
    """All links of a client, from `start` to `stop`. `upstreams` are real addresses by link."""

    def __init__(self, upstreams: Mapping[str, str], journal: RecordFile) -> None:
        """Raises TunError."""
        self._upstreams = upstreams
        self._journal = journal
        self._near = PrivateNetwork.create(NEAR, FAR)
        try:
            self._far = PrivateNetwork.create(FAR, NEAR, len(upstreams))
        except TunError:
            self._near.close()
            raise
        ports = [listener.getsockname()[1] for listener in self._far.listeners]
        self._links = dict(zip(ports, upstreams, strict=True))
        self._progress = Progress()
        self._harms: dict[str, _Harming] = {}
        self._relays: list[asyncio.Server] = []
        self._passing: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where the client finds what is behind each link."""
        return {link: f"{FAR}:{port}" for port, link in self._links.items()}

    @property
    def entering(self) -> tuple[str, ...]:
        """The beginning of the client's command line."""
        return self._near.entering()

    async def start(self) -> None:
        """Pass packets on, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        for listener, link in zip(self._far.listeners, self._upstreams, strict=True):
            upstream = self._upstreams[link]

            def accept(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: str = upstream
            ) -> None:
                task = asyncio.create_task(_pass(reader, writer, upstream))
                self._passing.add(task)
                task.add_done_callback(self._passing.discard)

            self._relays.append(await asyncio.start_server(accept, sock=listener))
            self._journal.add(Opened(link=link, listen=self.addresses[link], upstream=upstream))
        self._loop.add_reader(self._near.tun, self._read, Stream.UPSTREAM)
        self._loop.add_reader(self._far.tun, self._read, Stream.DOWNSTREAM)

    async def stop(self) -> None:
        """Cut everything off."""
        for link in tuple(self._harms):
            self.end(link)
        self._loop.remove_reader(self._near.tun)
        self._loop.remove_reader(self._far.tun)
        for relay in self._relays:
            relay.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        self._near.close()
        self._far.close()

    def begin(self, link: str, harm: Harm) -> None:
        """Harm a link's packets from now on. Raises TunError."""
        if link not in self._upstreams:
            raise TunError(f"there is no link {link}, only {', '.join(self._upstreams)}.")
        if link in self._harms:
            raise TunError(f"packets of {link} are harmed already: end that fault first.")
        both = (Stream.UPSTREAM, Stream.DOWNSTREAM)
        self._harms[link] = _Harming({stream: Chance(harm, link, stream) for stream in both})
        self._journal.add(Began(link=link, harm=harm))

    def end(self, link: str) -> None:
        """Let all packets of a link pass again; those that are held leave now."""
        harming = self._harms.get(link)
        if harming is None:
            return
        for stream, held in harming.held.items():
            for each in tuple(held):
                self._release(link, stream, harming, each)
        del self._harms[link]
        self._journal.add(Ended(link=link, counts=dict(harming.counts)))

    def _read(self, stream: Stream) -> None:
        tun = self._near.tun if stream is Stream.UPSTREAM else self._far.tun
        for _ in range(_AT_ONCE):
            try:
                packet = os.read(tun, _PACKET_BYTES)
            except OSError:
                return
            self._take(stream, packet)

    def _take(self, stream: Stream, packet: bytes) -> None:
        segment = segment_of(packet)
        if segment is None:
            self._write(stream, packet)
            return
        upstream = stream is Stream.UPSTREAM
        own, port = (segment.source, segment.to) if upstream else (segment.to, segment.source)
        link = self._links.get(port, "")
        if self._progress.is_sent_again(own, stream, segment):
            self._journal.add(
                SentAgain(
                    link=link,
                    stream=stream,
                    port=own,
                    sequence=segment.sequence,
                    size_bytes=segment.size_bytes,
                )
            )
        if harming := self._harms.get(link):
            self._harm(link, stream, harming, packet, segment)
        else:
            self._write(stream, packet)

    def _harm(
        self, link: str, stream: Stream, harming: _Harming, packet: bytes, segment: Segment
    ) -> None:
        chance = harming.chances[stream]
        fate = chance.fate()
        harming.counts[fate] += 1
        if fate is Fate.REORDERED:
            self._hold(link, stream, harming, packet, segment)
            return
        if fate is not Fate.PASSED:
            self._record(link, stream, fate, segment)
        if fate is not Fate.LOST:
            self._write(stream, chance.damaged(packet) if fate is Fate.CORRUPTED else packet)
        if fate is Fate.DUPLICATED:
            self._write(stream, packet)
        for held in tuple(harming.held[stream]):
            held.overtaken_by += fate is not Fate.LOST
            if held.overtaken_by >= OVERTAKEN_BY:
                self._release(link, stream, harming, held)

    def _hold(
        self, link: str, stream: Stream, harming: _Harming, packet: bytes, segment: Segment
    ) -> None:
        def release() -> None:
            self._release(link, stream, harming, held)

        held = _Held(packet, segment, self._loop.call_later(LONGEST_SECONDS, release))
        harming.held[stream].append(held)

    def _release(self, link: str, stream: Stream, harming: _Harming, held: _Held) -> None:
        held.timer.cancel()
        harming.held[stream].remove(held)
        self._record(link, stream, Fate.REORDERED, held.segment, held.overtaken_by)
        self._write(stream, held.packet)

    def _record(
        self, link: str, stream: Stream, fate: Fate, segment: Segment, overtaken_by: int = 0
    ) -> None:
        self._journal.add(
            Harmed(
                link=link,
                stream=stream,
                fate=fate,
                port=segment.source if stream is Stream.UPSTREAM else segment.to,
                sequence=segment.sequence,
                size_bytes=segment.size_bytes,
                overtaken_by=overtaken_by,
            )
        )

    def _write(self, stream: Stream, packet: bytes) -> None:
        tun = self._far.tun if stream is Stream.UPSTREAM else self._near.tun
        with suppress(OSError):  # a kernel that has no room drops it, as on any network
            os.write(tun, packet)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: str) -> None:
    """Pass a connection on. Where one side breaks off, so does the other."""
    try:
        server = await asyncio.open_connection(*split_address(upstream))
    except OSError:
        writer.transport.abort()
        return
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(reader, server[1]))
            both.create_task(_copy(server[0], writer))
    except* OSError:
        writer.transport.abort()
        server[1].transport.abort()
    finally:
        writer.close()
        server[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
