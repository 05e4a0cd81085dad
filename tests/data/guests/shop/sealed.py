"""A converter of this project's own: prices have an encoding that only it knows, and all that is
sent is sealed, failures included.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    PayloadCodec,
)

_KEY = 0x5A


class Price(Decimal):
    """An amount of money; no converter of Temporal's knows it."""


class PriceConverter(EncodingPayloadConverter):
    @property
    def encoding(self) -> str:
        return "text/price"

    def to_payload(self, value: Any) -> Payload | None:
        if not isinstance(value, Price):
            return None
        return Payload(metadata={"encoding": self.encoding.encode()}, data=str(value).encode())

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        del type_hint
        return Price(payload.data.decode())


class ShopConverter(CompositePayloadConverter):
    def __init__(self) -> None:
        super().__init__(
            PriceConverter(), *DefaultPayloadConverter.default_encoding_payload_converters
        )


class Seal(PayloadCodec):
    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"binary/sealed"}, data=_turned(p.SerializeToString()))
            for p in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload.FromString(_turned(payload.data)) for payload in payloads]


def _turned(data: bytes) -> bytes:
    return bytes(byte ^ _KEY for byte in data)


CONVERTER = dataclasses.replace(
    DataConverter.default,
    payload_converter_class=ShopConverter,
    payload_codec=Seal(),
    failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
)
