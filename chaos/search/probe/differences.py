"""In what two results differ, and what of that is normal: two undisturbed runs differ there too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from temporalio.api.common.v1 import Payload

Place = tuple[str | int, ...]
"""Where in a result a value is; an empty one is the whole."""

_JSON = {b"json/plain", b"json/protobuf"}


def content_of(payloads: Sequence[Payload], names: Sequence[tuple[str, str]]) -> Any:
    """Payloads as values that can be compared; what cannot be read, such as what is encrypted, by
    its hash. Of `names` each text stands in for another that is of one run only, such as its id.
    """
    found = [_content(payload, names) for payload in payloads]
    return found[0] if len(found) == 1 else found


def _content(payload: Payload, names: Sequence[tuple[str, str]]) -> Any:
    if payload.metadata.get("encoding") in _JSON:
        try:
            return json.loads(anonymous(payload.data.decode(), names))
        except ValueError:
            pass  # as unreadable as any other
    return hashlib.sha256(payload.SerializeToString(deterministic=True)).hexdigest()


def anonymous(text: str, names: Sequence[tuple[str, str]]) -> str:
    """A text without what is of one run only."""
    for name, stands_in in names:
        text = text.replace(name, stands_in) if name else text
    return text


def differing(one: Any, other: Any, at: Place = ()) -> Iterator[Place]:
    """The places at which two values differ, each as deep as it can be told."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key in one and key in other:
                yield from differing(one[key], other[key], (*at, key))
            else:
                yield (*at, key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differing(left, right, (*at, number))
    elif type(one) is not type(other) or one != other:
        yield at


def unmasked(places: Iterator[Place], masks: Collection[Place]) -> Sequence[Place]:
    """Those that no mask covers; a mask covers all that is within its place."""
    return [place for place in places if not any(place[: len(mask)] == mask for mask in masks)]


def told(place: Place) -> str:
    """A place as people write it: `items[2].price`."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return words.removeprefix(".") or "the whole of it"
