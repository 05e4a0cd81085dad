"""Settings of a worker, from the environment and a `.env` file beside it.

Where Temporal is (address, namespace, TLS, key) is read by the SDK's own `envconfig`, from the
standard `TEMPORAL_*` variables and its configuration file.
"""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from workflows import policies, pricing

RENAMED = {
    "LEDGER_URL": "PAYMENT_JOURNAL_URL",
    "AMBIGUOUS_START": "IN_DOUBT_POLICY",
    "AMBIGUOUS_RESENDS": "IN_DOUBT_RESENDS",
}
"""Names of variables in earlier releases, and now. To ignore one could mean to pay twice."""

LONGEST_VERSION_NAME = 255
"""Characters of a deployment's name, and of a build id, that a server takes (300 of 1.32 are lost:
the worker polls, and its version never comes to be).
"""

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SettingsError(Exception):
    """A setting is missing or wrong. The message names it, and never shows a secret."""


class Settings(BaseSettings):
    """What a worker needs to know beyond `policies`; each field is the variable of its name."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    gemini_api_key: SecretStr
    google_gemini_base_url: str | None = None
    gemini_image_model: str = "gemini-3.1-flash-image"
    gemini_video_model: str = "veo-3.1-fast-generate-preview"
    video_seconds: int = 4
    video_poll_seconds: _Seconds = 10.0
    video_resolution: str = "720p"
    artifacts_dir: Path = Path("artifacts")
    task_queue: str = policies.TASK_QUEUE
    payment_journal_url: SecretStr | None = None
    in_doubt_policy: Literal["resend", "ask"] = "resend"
    in_doubt_resends: int = Field(default=1, ge=0)
    budget_usd: Decimal | None = Field(default=None, ge=0)
    image_deadline_seconds: _Seconds = policies.IMAGE_DEADLINE_SECONDS
    video_start_deadline_seconds: _Seconds = policies.VIDEO_START_DEADLINE_SECONDS
    video_deadline_seconds: _Seconds = policies.VIDEO_DEADLINE.total_seconds()
    pay_while_locked: Path | None = None
    metrics_address: str | None = None
    temporal_deployment_name: str | None = None
    temporal_worker_build_id: str | None = None

    @field_validator("gemini_api_key")
    @classmethod
    def _key_fits_a_header(cls, key: SecretStr) -> SecretStr:
        """A key with a line break would come back, whole, in the HTTP client's error."""
        value = key.get_secret_value()
        if not value:
            raise ValueError("is empty")
        if not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError("has a space, a line break or another character that keys do not have")
        return key

    @field_validator("google_gemini_base_url")
    @classmethod
    def _url_has_a_host(cls, url: str | None) -> str | None:
        """Without it, a paid call would fail in ways that look as if it might have been billed."""
        if url is None:
            return None
        if not url:
            raise ValueError("is empty; unset it, or name the API's address")
        if not _is_http_url(url):
            raise ValueError("must be http:// or https:// and a host, such as https://api.example")
        return url

    @field_validator("metrics_address")
    @classmethod
    def _address_has_a_port(cls, address: str | None) -> str | None:
        host, _, port = (address or "x:1").rpartition(":")
        if not host or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
            raise ValueError("must be host:port, such as 127.0.0.1:9464")
        return address

    @field_validator("temporal_deployment_name", "temporal_worker_build_id")
    @classmethod
    def _name_can_be_one(cls, name: str | None, info: ValidationInfo) -> str | None:
        """The server would refuse it at the first poll, when all else of the worker is up."""
        if name is None:
            return None
        if not 0 < len(name) <= LONGEST_VERSION_NAME or not name.isprintable():
            raise ValueError(f"must have 1 to {LONGEST_VERSION_NAME} characters, all printable")
        if info.field_name == "temporal_deployment_name" and set(name) & set(".:"):
            raise ValueError("must have no point and no colon, which Temporal puts after it")
        return name

    @field_validator("video_seconds")
    @classmethod
    def _length_exists(cls, seconds: int) -> int:
        """The client does not check it, and the image would be paid for before the API refuses."""
        if seconds not in {4, 6, 8}:
            raise ValueError(f"must be 4, 6 or 8, not {seconds}")
        return seconds

    @model_validator(mode="after")
    def _prices_are_known(self) -> Self:
        self.image_cost_usd()
        self.video_cost_usd()
        return self

    @model_validator(mode="after")
    def _length_exists_at_the_resolution(self) -> Self:
        pricing.require_possible_length(
            self.gemini_video_model, self.video_seconds, self.video_resolution
        )
        return self

    @model_validator(mode="after")
    def _build_belongs_to_a_deployment(self) -> Self:
        if self.temporal_worker_build_id and not self.temporal_deployment_name:
            raise ValueError(
                "TEMPORAL_WORKER_BUILD_ID is set and TEMPORAL_DEPLOYMENT_NAME is not; set both for "
                "Worker Versioning, or none"
            )
        return self

    def image_cost_usd(self) -> Decimal:
        """The price of one character image with these settings."""
        return pricing.image_cost_usd(self.gemini_image_model)

    def video_cost_usd(self) -> Decimal:
        """The price of one video with these settings."""
        return pricing.video_cost_usd(
            self.gemini_video_model, self.video_seconds, self.video_resolution
        )


def _is_http_url(url: str) -> bool:
    if not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def load_settings(**values: str) -> Settings:
    """Read the settings; `values` come before the environment's.

    Raises SettingsError with one sentence for each fault.
    """
    # The environment's names are read in any case, so that of an old one does not matter either.
    old_names = [name for name in RENAMED if name in map(str.upper, os.environ)]
    if old_names:
        raise SettingsError(
            " ".join(f"{name} is now called {RENAMED[name]}; rename it." for name in old_names)
        )
    try:
        return Settings.model_validate(values) if values else Settings()
    except ValidationError as error:
        raise SettingsError(" ".join(fault_sentence(fault) for fault in error.errors())) from None


def fault_sentence(fault: ErrorDetails) -> str:
    """One fault in words, without the value that was given: it may be a secret."""
    name = "_".join(str(part) for part in fault["loc"]).upper()
    if fault["type"] == "missing":
        return f"{name} is not set; put it into the environment or into .env."
    message = str(fault["msg"]).rstrip(".")
    if fault["type"] == "value_error":  # one of ours: it goes on from the name
        return f"{name} {message.removeprefix('Value error, ')}.".lstrip()
    return f"{name}: {message}."
