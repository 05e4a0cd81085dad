"""Where alerts go, from the environment; each field is the variable of its name.

Nothing set: log lines only. An empty variable counts as not set.
"""

from __future__ import annotations

import re
from typing import Self
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from workflows.alerts.smtp_server import SmtpServer
from workflows.settings import SettingsError, fault_sentence

_ADDRESS = re.compile(r"[!-~]{1,64}@[A-Za-z0-9.-]{1,120}")
_MEANINGFUL = set('<>()[]\\,;:"')
"""What turns a plain address into something else."""


class AlertSettings(BaseSettings):
    """The channels. The webhook's URL is a secret as it stands: who knows it can post."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True
    )

    alert_webhook_url: SecretStr | None = None
    alert_smtp_url: SecretStr | None = None
    alert_email_from: str | None = None
    alert_email_to: str | None = None

    @field_validator("alert_webhook_url")
    @classmethod
    def _url_can_be_posted_to(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not _is_web_address(url.get_secret_value()):
            raise ValueError("must be one web address such as https://hooks.slack.com/services/…")
        return url

    @field_validator("alert_smtp_url")
    @classmethod
    def _url_names_a_server(cls, url: SecretStr | None) -> SecretStr | None:
        if url:
            SmtpServer.parse(url.get_secret_value())
        return url

    @field_validator("alert_email_from")
    @classmethod
    def _from_is_an_address(cls, address: str | None) -> str | None:
        if address and not _is_address(address):
            raise ValueError("must be one plain e-mail address such as alerts@example.com")
        return address

    @field_validator("alert_email_to")
    @classmethod
    def _to_are_addresses(cls, addresses: str | None) -> str | None:
        if addresses and not all(_is_address(address) for address in _split(addresses)):
            raise ValueError("must be plain e-mail addresses with commas between them")
        return addresses

    @model_validator(mode="after")
    def _email_is_whole(self) -> Self:
        parts = {
            "ALERT_SMTP_URL": self.alert_smtp_url,
            "ALERT_EMAIL_FROM": self.alert_email_from,
            "ALERT_EMAIL_TO": self.alert_email_to,
        }
        missing = [name for name, value in parts.items() if value is None]
        if 0 < len(missing) < len(parts):
            raise ValueError(
                f"alerts by e-mail need {' and '.join(missing)} as well; "
                f"set all three of {', '.join(parts)}, or none"
            )
        return self

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who gets mail, each of them once."""
        return tuple(dict.fromkeys(_split(self.alert_email_to or "")))

    @property
    def smtp_server(self) -> SmtpServer | None:
        """Where mail is handed in."""
        url = self.alert_smtp_url
        return SmtpServer.parse(url.get_secret_value()) if url else None


def load_alert_settings() -> AlertSettings:
    """Read the settings. Raises SettingsError with one sentence for each fault."""
    try:
        return AlertSettings()
    except ValidationError as error:
        raise SettingsError(" ".join(fault_sentence(fault) for fault in error.errors())) from None


def _split(addresses: str) -> list[str]:
    return [part.strip() for part in addresses.split(",")] if addresses else []


def _is_address(text: str) -> bool:
    return bool(_ADDRESS.fullmatch(text)) and text.count("@") == 1 and not _MEANINGFUL & set(text)


def _is_web_address(text: str) -> bool:
    if not text.isprintable() or " " in text:
        return False
    try:
        httpx.URL(text)  # it knows what it can post to, but takes any port and bracket
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (httpx.InvalidURL, ValueError):
        return False
