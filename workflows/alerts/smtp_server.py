"""Where mail is handed in: the parts of an `ALERT_SMTP_URL`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

_PORTS = {"smtp": 587, "smtps": 465}

_FORM = (
    "must look like smtp://user:password@host:587 or smtps://host; "
    "in user and password write characters such as @, :, /, # and % as %40, %3A, %2F, %23 and %25"
)


@dataclass(frozen=True)
class SmtpServer:
    """`tls_from_start`: smtps; otherwise the connection is secured by STARTTLS where offered."""

    host: str
    port: int
    tls_from_start: bool
    user: str | None = None
    password: SecretStr | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises ValueError with a message that does not show the URL."""
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme, parts.hostname, parts.port
        except ValueError:
            raise ValueError(_FORM) from None
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        further = parts.path.strip("/") or parts.query or parts.fragment
        if scheme not in _PORTS or not host or further or bool(user) != bool(password):
            raise ValueError(_FORM)
        # smtplib takes no other ones, and would quote them in its error.
        if not all(text.isascii() and text.isprintable() for text in (user, password)):
            raise ValueError("has a user or password with a character that no SMTP login takes")
        return cls(
            host=host,
            port=port or _PORTS[scheme],
            tls_from_start=scheme == "smtps",
            user=user or None,
            password=SecretStr(password) if password else None,
        )

    @property
    def is_this_machine(self) -> bool:
        """Whether nobody can listen in on the way there."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
