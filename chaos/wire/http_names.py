"""What a request to a service is called on record: nothing in it may be a secret."""

from __future__ import annotations

import hashlib
import re

import h11

KEY_CHARACTERS = 200
"""The longest idempotency key that is put on record as it is."""

_KEY_HEADERS = (
    b"idempotency-key",
    b"x-idempotency-key",
    b"paypal-request-id",
    b"repeatability-request-id",
)
"""By which services tell a repeated request. `X-Request-Id` is none: it is new for each attempt."""

_WITH_A_DIGIT = re.compile(r"[^/:]*[0-9][^/:]*")
"""A word of a path; `models/x-1:predict` has three."""

_ORIGIN = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def subject_of(request: h11.Request) -> str:
    """Method and path, such as `POST /charges/*/refund`: words with a digit are `*`, and there is
    no query string.
    """
    target = _ORIGIN.sub("", request.target.decode("ascii", "replace"), count=1)
    path = re.split(r"[?#]", target, maxsplit=1)[0] or "/"
    return f"{request.method.decode('ascii')} {_WITH_A_DIGIT.sub('*', path)}"


def idempotency_key_of(request: h11.Request) -> str:
    """The key by which the service can tell that it was asked before; empty where there is none.
    Of a very long one it is the hash.
    """
    headers = dict(request.headers)
    key = next((headers[name] for name in _KEY_HEADERS if headers.get(name)), b"")
    if len(key) > KEY_CHARACTERS:
        return f"sha256:{hashlib.sha256(key).hexdigest()}"
    return key.decode("ascii", "replace")
