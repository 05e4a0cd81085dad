"""How long, how often and how many: the numbers of the alerts, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Times are in seconds.

    handover: what an activity waits at most until its alert is on disk. It takes milliseconds;
    a disk that hangs must not hold up what was paid for.
    send: the whole of one delivery. Long, because a receiver that is cut off may have accepted
    already, and then gets the alert again.
    first_retry, longest_retry: the wait doubles from the one to the other, for each channel.
    longest_wish: the longest `Retry-After` that is honoured; beyond it an alert is as good as lost.
    rescan: how soon a worker sees what other workers of the machine left behind.
    farewell: how long a worker that stops goes on delivering.
    abandoned: the age at which a half-written file has certainly lost its writer.
    most_pending: files that wait in one channel, and as many that were refused: some 40 MB.
    """

    handover_seconds: float = 1.0
    send_seconds: float = 60.0
    first_retry_seconds: float = 1.0
    longest_retry_seconds: float = 60.0
    longest_wish_seconds: float = 3600.0
    rescan_seconds: float = 5.0
    farewell_seconds: float = 2.0
    abandoned_seconds: float = 3600.0
    most_pending: int = 10_000
