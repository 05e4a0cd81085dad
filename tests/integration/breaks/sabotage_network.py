"""Faults to plant in a worker: in how it takes a bad connection.

Each type that is ignored here is a method's, which is replaced on purpose.
"""

from __future__ import annotations

from datetime import timedelta

import httpx

from workflows import api_errors, gemini, policies
from workflows.api_errors import ApiError, Call, Outcome
from workflows.gemini import Gemini
from workflows.transport import Exchange


def probes_as_the_sdk_does() -> None:
    """Find out after 45 s that a connection is dead."""
    policies.KEEPALIVE_INTERVAL = timedelta(seconds=30)
    policies.KEEPALIVE_TIMEOUT = timedelta(seconds=15)


def is_given_up_soon() -> None:
    """Ask the server to take a worker that is silent for 2 s for dead."""
    policies.HEARTBEAT_TIMEOUT = timedelta(seconds=2)


def doubts_nothing() -> None:
    """Take a paid request that was cut off for one that was not sent."""
    _means_otherwise(Outcome.IN_DOUBT, Outcome.RETRYABLE)


def doubts_what_was_not_sent() -> None:
    """Take a paid request that could not be sent for one that may be billed."""
    _means_otherwise(Outcome.RETRYABLE, Outcome.IN_DOUBT, paid_only=True)


def gives_up_at_once() -> None:
    """Take a broken connection for a refusal."""
    _means_otherwise(Outcome.RETRYABLE, Outcome.PERMANENT)


def _means_otherwise(right: Outcome, wrong: Outcome, *, paid_only: bool = False) -> None:
    classify = api_errors.classify

    def misread(error: Exception, call: Call, exchange: Exchange) -> ApiError:
        found = classify(error, call, exchange)
        if found.outcome is right and (call.paid or not paid_only):
            found.outcome = wrong
        return found

    gemini.classify = misread  # type: ignore[attr-defined]


def takes_a_part_for_the_whole() -> None:
    """Keep what came of a download that broke off."""

    async def part(self: Gemini, uri: str) -> bytes:
        key = self._settings.gemini_api_key.get_secret_value()
        data = b""
        call = Call("download", policies.DOWNLOAD_DEADLINE_SECONDS, paid=False)
        async with self._bounded(call):
            path = httpx.URL(uri).raw_path.decode()
            url = f"{self._settings.google_gemini_base_url}{path}"
            try:
                async with self._http.stream("GET", url, headers={"x-goog-api-key": key}) as reply:
                    async for piece in reply.aiter_raw():
                        data += piece
            except httpx.HTTPError:
                pass
        return data

    Gemini.download_video = part  # type: ignore[method-assign]
