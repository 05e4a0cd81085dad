"""Settings of the service, from the environment and a `.env` file; it needs no API key."""

from __future__ import annotations

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from workflows import policies
from workflows.settings import SettingsError, fault_sentence

MAX_PORT = 65_535


MIN_TOKEN_CHARACTERS = 16
"""Of a token: a shorter one can be guessed, for nobody counts how often somebody tries."""


class ServiceSettings(BaseSettings):
    """What the service needs to know; each field is the variable of its name."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    service_host: str = Field(default="127.0.0.1", min_length=1)
    service_port: int = Field(default=3007, ge=1, le=MAX_PORT)
    service_token: SecretStr | None = None
    task_queue: str = Field(default=policies.TASK_QUEUE, min_length=1)

    @field_validator("service_token")
    @classmethod
    def _token_fits_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        """An empty token would let everybody in; one with a space could never be sent."""
        if token is None:
            return None
        value = token.get_secret_value()
        if not value:
            raise ValueError("is empty; give it a value, or remove it")
        if not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError(
                "has a space, a line break or another character that tokens do not have"
            )
        if len(value) < MIN_TOKEN_CHARACTERS:
            raise ValueError(
                f"is shorter than {MIN_TOKEN_CHARACTERS} characters; "
                "make one by: openssl rand -hex 32"
            )
        return token


def load_settings(*, host: str | None = None, port: int | None = None) -> ServiceSettings:
    """Read the settings; what is given here comes before the environment.

    Raises SettingsError with one sentence for each fault.
    """
    given = {"service_host": host, "service_port": port}
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return ServiceSettings(**chosen)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        raise SettingsError(" ".join(fault_sentence(fault) for fault in error.errors())) from None
