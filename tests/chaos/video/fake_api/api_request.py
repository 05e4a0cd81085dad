"""A request to the provider, as far as it can be read."""

import base64
import binascii
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tests.chaos.video.fake_api.bills import Call, Received, now
from tests.chaos.video.fake_api.media import sha256_hex


class ApiRequest(BaseModel):
    """One request. `problem` says why it cannot be served; None where nothing is wrong.

    `redirected`: it came where a redirect points to; `key_given_away`: with a key, right or wrong.
    `elsewhere` is the URL where a redirect would send it.
    """

    model_config = ConfigDict(frozen=True)

    request_id: str = Field(default_factory=lambda: uuid4().hex)
    call: Call
    key_valid: bool
    model: str | None = None
    prompt: str | None = None
    image_sha256: str | None = None
    operation: str | None = None
    file: str | None = None
    problem: str | None = None
    redirected: bool = False
    key_given_away: bool = False
    elsewhere: str = ""

    def received(self) -> Received:
        """Its record in the bills."""
        known = self.model_dump(exclude={"problem", "key_given_away", "elsewhere"})
        return Received(at=now(), **known)


class _Part(BaseModel):
    text: str = ""


class _Content(BaseModel):
    parts: list[_Part] = []


class _ImageBody(BaseModel):
    contents: list[_Content]


class _ReferenceImage(BaseModel):
    content: str = Field(alias="bytesBase64Encoded")


class _Instance(BaseModel):
    prompt: str = ""
    image: _ReferenceImage | None = None


class _VideoBody(BaseModel):
    instances: list[_Instance] = Field(min_length=1)


_UNREADABLE = "Invalid JSON payload received."
_NO_PROMPT = "The prompt must not be empty."
_NO_IMAGE = "The reference image is not valid base64."


def image_request(model: str, body: bytes, *, key_valid: bool) -> ApiRequest:
    """An image request, `generateContent`."""
    request = ApiRequest(call=Call.IMAGE, key_valid=key_valid, model=model)
    try:
        content = _ImageBody.model_validate_json(body)
    except ValidationError:
        return request.model_copy(update={"problem": _UNREADABLE})
    texts = [part.text for turn in content.contents for part in turn.parts]
    return _with_prompt(request, "\n".join(text for text in texts if text))


def video_request(model: str, body: bytes, *, key_valid: bool) -> ApiRequest:
    """A video start, `predictLongRunning`."""
    request = ApiRequest(call=Call.VIDEO_START, key_valid=key_valid, model=model)
    try:
        instance = _VideoBody.model_validate_json(body).instances[0]
    except ValidationError:
        return request.model_copy(update={"problem": _UNREADABLE})
    request = _with_prompt(request, instance.prompt)
    if instance.image is None:
        return request
    try:
        image = base64.b64decode(instance.image.content, validate=True)
    except binascii.Error:
        return request.model_copy(update={"problem": _NO_IMAGE})
    return request.model_copy(update={"image_sha256": sha256_hex(image)})


def poll_request(model: str, operation: str, *, key_valid: bool) -> ApiRequest:
    """A look at an operation, by its full name."""
    return ApiRequest(call=Call.POLL, key_valid=key_valid, model=model, operation=operation)


def download_request(file: str, *, key_valid: bool) -> ApiRequest:
    """A download of a file, by its id."""
    return ApiRequest(call=Call.DOWNLOAD, key_valid=key_valid, file=file)


def _with_prompt(request: ApiRequest, prompt: str) -> ApiRequest:
    problem = None if prompt.strip() else _NO_PROMPT
    return request.model_copy(update={"prompt": prompt, "problem": problem})
