"""Where a page of the list begins: Temporal's own words, sealed so that nobody else writes any."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from http import HTTPStatus

from workflows.service.errors import Problem

_SEAL_BYTES = 16


class Positions:
    """Makes page tokens, and reads back those that it made.

    Temporal takes a position that it never gave for a fault of its own, and is asked again.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def token(self, position: bytes) -> str:
        """What a client is given for a position."""
        sealed = self._seal(position) + position
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def position(self, token: str) -> bytes:
        """The position of a token. Raises Problem, 400, where it is of another service's making."""
        try:
            padded = token + "=" * (-len(token) % 4)
            sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _no_token() from None
        position = sealed[_SEAL_BYTES:]
        if not position or not hmac.compare_digest(sealed, self._seal(position) + position):
            raise _no_token()
        return position

    def _seal(self, position: bytes) -> bytes:
        return hmac.digest(self._key, position, hashlib.sha256)[:_SEAL_BYTES]


def _no_token() -> Problem:
    return Problem(
        HTTPStatus.BAD_REQUEST,
        "pageToken was not issued by this service since its start; start again with the first "
        "page.",
    )
