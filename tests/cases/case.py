"""A case: what a provider once answered to a call, and in words what is right to make of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue

_FOLDER = Path(__file__).parent / "provider"

CallName = Literal["image", "video", "poll", "download"]


def _listed(names: object) -> object:
    return [names] if isinstance(names, str) else names


class Case(BaseModel):
    """One file. Its reply is `body` (JSON), `text` or `base64`; `call` names who gets it.

    `$BASE` stands for the address of the server that replies.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    call: Annotated[tuple[CallName, ...], BeforeValidator(_listed)]
    status: int
    right: str
    source: str = ""
    symptom: str = ""
    headers: dict[str, str] = {}
    body: JsonValue = None
    text: str | None = None
    base64: str | None = None

    def content(self, base_url: str) -> bytes:
        """The bytes of the reply."""
        if self.base64 is not None:
            return base64.b64decode(self.base64)
        is_json = "body" in self.model_fields_set
        text = json.dumps(self.body) if is_json else self.text or ""
        return text.replace("$BASE", base_url).encode()

    def fields(self, base_url: str) -> dict[str, str]:
        """The headers of the reply."""
        usual = {"content-type": "application/json"} if "body" in self.model_fields_set else {}
        named = {name.lower(): value for name, value in self.headers.items()}
        return {n: value.replace("$BASE", base_url) for n, value in {**usual, **named}.items()}


def read_cases() -> list[Case]:
    """All that there are, by name."""
    files = sorted(_FOLDER.glob("*.json"))
    return [Case.model_validate({**json.loads(f.read_bytes()), "name": f.stem}) for f in files]
