"""A mail server on loopback, with a login, that refuses whom it is told to refuse."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from chaos.process.ports import Port
from chaos.process.waiting import wait_until

USER, PASSWORD = "robot", "hush-hush"


@dataclass
class MailReceiver:
    """`accepted` has the mails it took, each with its recipients; `refusals` what it says to an
    address, in turn (None: it takes it); `logins` counts those that were right and wrong.
    """

    starttls: ssl.SSLContext | None = None
    tls_from_start: ssl.SSLContext | None = None
    refusals: dict[str, list[str | None]] = field(default_factory=dict)
    accepted: list[tuple[str, Message]] = field(default_factory=list)
    logins: list[bool] = field(default_factory=list)
    secured: list[bool] = field(default_factory=list)
    port: Port = field(default_factory=Port)
    _server: asyncio.Server | None = None
    _sessions: list[SMTP] = field(default_factory=list)

    def url(self, password: str = PASSWORD, scheme: str = "smtp") -> str:
        return f"{scheme}://{USER}:{password}@{self.port.address}"

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for _, mail in self.accepted]

    def recipients(self) -> list[str]:
        return [recipient for recipient, _ in self.accepted]

    async def __aenter__(self) -> Self:
        await self.come()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.go()
        self.port.release()

    async def come(self) -> None:
        """Listen."""
        self._server = await asyncio.get_running_loop().create_server(
            self._serve,
            "127.0.0.1",
            self.port.number,
            reuse_address=True,
            ssl=self.tls_from_start,
        )

    async def go(self) -> None:
        """Be down: connections are cut, new ones refused."""
        if self._server:
            self._server.close()
            for session in self._sessions:
                if session.transport:
                    session.transport.close()
            await wait_until(
                lambda: all(session.transport is None for session in self._sessions),
                what="every connection is closed",
                deadline_seconds=10,
            )
            self._server = None

    def _serve(self) -> SMTP:
        with warnings.catch_warnings():
            # That a login without TLS is no good idea: on loopback it is what is tested.
            warnings.simplefilter("ignore", UserWarning)
            session = SMTP(
                self,
                hostname="mail.test",
                tls_context=self.starttls,
                require_starttls=self.starttls is not None,
                auth_required=True,
                auth_require_tls=self.starttls is not None,
                authenticator=self._authenticate,
            )
        self._sessions.append(session)
        return session

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        del server, session, envelope, mechanism
        right = data == LoginPassword(USER.encode(), PASSWORD.encode())
        self.logins.append(right)
        return AuthResult(success=right, handled=False)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        refusals = self.refusals.get(address, [])
        refusal = refusals.pop(0) if refusals else None
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - likewise
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        del server
        assert isinstance(envelope.content, bytes)
        self.secured.append(session.ssl is not None)
        for recipient in envelope.rcpt_tos:
            assert recipient is not None
            self.accepted.append((recipient, message_from_bytes(envelope.content)))
        return "250 OK"
