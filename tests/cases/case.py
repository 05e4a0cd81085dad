"""A case: what a provider once answered to a call, and in words what is right to make of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue, ValidationError

CallName = Literal["image", "video", "poll", "download"]


def _listed(names: object) -> object:
    return [names] if isinstance(names, str) else names


class CaseError(Exception):
    """A folder or a file holds no case. The message says which."""


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


def read_cases(folder: Path) -> list[Case]:
    """All cases of a folder, by name. Raises CaseError."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise CaseError(f"{folder} is no folder with cases (*.json).")
    return [_read(file) for file in files]


def _read(file: Path) -> Case:
    try:
        return Case.model_validate({**json.loads(file.read_bytes()), "name": file.stem})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CaseError(f"{file} is no case: {where}: {first['msg']}.") from None
    except (OSError, ValueError, TypeError) as error:
        raise CaseError(f"{file} is no case: {error}.") from None
