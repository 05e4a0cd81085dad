"""Delivers what waits for one channel, for as long as the worker lives."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from enum import Enum

from workflows.alerts.alert import Alert
from workflows.alerts.channel import Channel, PostponedError, RefusedError
from workflows.alerts.limits import Limits
from workflows.alerts.spool import REFUSED, Claim, Spool, UnreadableError

# Not below "workflows.alerts": whoever reads that logger gets alerts and nothing else.
logger = logging.getLogger("workflows.alert_delivery")

Wait = Callable[[asyncio.Event, float], Awaitable[None]]


class _Fate(Enum):
    DELIVERED = "delivered"
    REFUSED = "refused"


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Courier:
    """One channel's delivery. An alert leaves the spool only when its fate is known.

    An alert that is not taken now goes behind those that were tried less often, so that a single
    one which its receiver cannot digest does not hold up the rest.
    """

    def __init__(
        self, channel: Channel, spool: Spool, limits: Limits, wait: Wait = wait_for
    ) -> None:
        self.channel = channel
        self.spool = spool
        self._limits = limits
        self._wait = wait
        self._news = asyncio.Event()
        self._stop = asyncio.Event()
        self._cut = asyncio.Event()
        self._tries: dict[str, int] = {}
        # Of files that the disk did not let go: they must not be sent again.
        self._fates: dict[str, _Fate] = {}
        self._failures = 0
        self._complaint = ""
        self._refusal = ""

    def wake(self) -> None:
        """An alert was put into the spool."""
        self._news.set()

    def stop(self) -> None:
        """Deliver what waits now, unless the receiver is being left alone, and end."""
        self._stop.set()
        self._news.set()

    def cut(self) -> None:
        """Break off the delivery in hand."""
        self._cut.set()

    async def run(self) -> None:
        """Deliver until `stop`. Whatever fails is told and tried again."""
        while True:
            self._news.clear()
            last = self._stop.is_set()
            pause = await self._round()
            if last or self._cut.is_set():
                return
            if pause is None:
                await self._wait(self._news, self._limits.rescan_seconds)
            else:
                await self._wait(self._stop, pause)
                if self._stop.is_set():
                    return

    async def _round(self) -> float | None:
        """Deliver all that waits; the pause in seconds that a failure asks for."""
        try:
            names = await asyncio.to_thread(self.spool.pending)
            self._tries = {name: self._tries.get(name, 0) for name in names}
            self._fates = {name: fate for name, fate in self._fates.items() if name in self._tries}
            for name in sorted(names, key=self._tries.__getitem__):
                if self._cut.is_set():
                    return None
                await self._deliver(name)
        except PostponedError as error:
            return self._pause(str(error), error.wish_seconds)
        except OSError as error:
            return self._pause(f"its folder {self.spool.folder} fails ({error.strerror})", None)
        except Exception as error:  # noqa: BLE001 - a courier that ends would lose alerts
            return self._pause(f"an unexpected {type(error).__name__}", None)
        return None

    async def _deliver(self, name: str) -> None:
        """Settle one alert. Raises PostponedError, or OSError where the disk fails."""
        claim = await asyncio.to_thread(self.spool.claim, name)
        if claim is None:
            return
        with claim:
            if name not in self._fates:
                self._tries[name] += 1
                self._fates[name] = await self._fate(claim)
            settle = claim.remove if self._fates[name] is _Fate.DELIVERED else claim.set_aside
            await asyncio.to_thread(settle)
            del self._fates[name]

    async def _fate(self, claim: Claim) -> _Fate:
        """Send it. Raises PostponedError."""
        try:
            alert = await asyncio.to_thread(claim.read)
        except UnreadableError:
            logger.error(  # noqa: TRY400 - the sentence says it all
                "the file %s holds no alert and is put aside; delete it.", claim.path
            )
            return _Fate.REFUSED
        try:
            await self._send(alert)
        except RefusedError as error:
            self._tell_refusal(str(error))
            return _Fate.REFUSED
        if self._failures:
            logger.info("%s takes alerts again.", self.channel.name)
        self._failures, self._complaint, self._refusal = 0, "", ""
        return _Fate.DELIVERED

    def _tell_refusal(self, reason: str) -> None:
        """Say once for a reason what to do: a revoked webhook refuses all that wait."""
        if reason != self._refusal:
            logger.error(
                "%s refuses alerts for good: %s; they are kept in %s. "
                "Mend %s, then move them back into %s.",
                self.channel.name,
                reason,
                self.spool.folder / REFUSED,
                self.channel.variables,
                self.spool.folder,
            )
            self._refusal = reason

    async def _send(self, alert: Alert) -> None:
        """Send it within the deadline, or until it is cut off. Raises what the channel raises."""
        sending = asyncio.create_task(self.channel.send(alert))
        cut = asyncio.create_task(self._cut.wait())
        try:
            await asyncio.wait(
                {sending, cut},
                timeout=self._limits.send_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not sending.done():
                raise PostponedError(
                    "the worker stops"
                    if self._cut.is_set()
                    else f"it did not answer within {self._limits.send_seconds:g} s"
                )
            sending.result()
        finally:
            sending.cancel()
            cut.cancel()
            await asyncio.gather(sending, cut, return_exceptions=True)

    def _pause(self, complaint: str, wish_seconds: float | None) -> float:
        """Count a failure, tell of it once, and say how long to leave the receiver alone."""
        longest = self._limits.longest_retry_seconds
        # The exponent is bounded: after a week of failures the power would overflow.
        pause = min(longest, self._limits.first_retry_seconds * 2.0 ** min(self._failures, 30))
        pause = max(pause, min(wish_seconds or 0.0, self._limits.longest_wish_seconds))
        self._failures += 1
        if complaint != self._complaint and not self._cut.is_set():
            logger.warning(
                "alerts by %s wait in %s: %s; trying again until they are taken.",
                self.channel.name,
                self.spool.folder,
                complaint,
            )
            self._complaint = complaint
        return pause
