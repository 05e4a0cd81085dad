"""The test's side of a helper process's control port: one request at a time, by plain HTTP."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Any, ClassVar, Self

import httpx

KEPT_SECONDS = 2.0
"""How long an idle connection is used again. Servers close it sooner or later (uvicorn after 5 s),
and a request that is sent in that very moment would be lost."""

ANSWER_SECONDS = 30.0
"""On a starved machine either side may not run for seconds."""


class ControlError(Exception):
    """A control request was refused; the message says why."""


class Control:
    """Client of a control port at `base_url`. Use it by `async with`, or close it.

    All methods raise `refusal` where the process refuses, httpx.TransportError where it is not
    there.
    """

    refusal: ClassVar[type[ControlError]] = ControlError

    def __init__(self, base_url: str) -> None:
        # It speaks plain HTTP to this machine: loading certificates would only take time.
        no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx.AsyncClient(
            base_url=base_url,
            trust_env=False,
            verify=no_certificates,
            timeout=ANSWER_SECONDS,
            limits=httpx.Limits(keepalive_expiry=KEPT_SECONDS),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        """One control request; its decoded JSON answer."""
        response = await self._client.request(method, path, json=body)
        if response.is_success:
            return response.json()
        try:
            reason = str(response.json()["error"])
        except (ValueError, KeyError, TypeError):
            reason = f"{method} {path} was answered with status {response.status_code}."
        raise self.refusal(reason)

    async def health(self) -> bool:
        """Whether it is ready; False also where nothing answers."""
        try:
            await self.send("GET", "/health")
        except httpx.TransportError:
            return False
        return True
