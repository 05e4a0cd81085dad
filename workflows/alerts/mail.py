"""Alerts by e-mail: each recipient is a channel of its own, so that one who is refused, or whose
mailbox is full, neither holds up the others nor has them get it twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from urllib.parse import quote

from workflows.alerts.alert import Alert
from workflows.alerts.channel import PostponedError, RefusedError
from workflows.alerts.smtp_server import SmtpServer

_READY = 220
"""What a mail server says first."""

_LASTING = 500
"""SMTP answers from here on are final."""


@dataclass(frozen=True)
class Mailbox:
    """One recipient behind a server. `timeout_seconds` is that of each of its answers."""

    server: SmtpServer
    sender: str
    recipient: str
    timeout_seconds: float

    variables = "ALERT_SMTP_URL, ALERT_EMAIL_FROM or ALERT_EMAIL_TO"

    @property
    def name(self) -> str:
        """Names the recipient."""
        return f"email-{quote(self.recipient, safe='@')}"

    async def send(self, alert: Alert) -> None:
        """Have the server accept it. Raises PostponedError or RefusedError."""
        delivery = _Delivery(self, compose(alert, self.sender, self.recipient))
        await _in_a_thread(delivery)

    async def aclose(self) -> None:
        """There is nothing to close: each mail has its own connection."""


def compose(alert: Alert, sender: str, recipient: str) -> EmailMessage:
    """The mail. Its Message-ID is the alert's, so that a second copy can be told and folded."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = alert.text
    message["Date"] = format_datetime(alert.time)
    message["Message-ID"] = f"<{alert.key}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # no answers from those who are away
    message.set_content(
        f"{alert.text}\n\n"
        f"namespace: {alert.namespace}\n"
        f"workflow: {alert.workflow_id}\n"
        f"run: {alert.run_id}\n"
        f"activity: {alert.activity} (id {alert.activity_id})\n"
        f"task queue: {alert.task_queue}\n"
        f"begun: {alert.time.isoformat()}\n"
    )
    return message


@dataclass
class _Delivery:
    """One try in a thread, which `abort` ends from outside."""

    mailbox: Mailbox
    message: EmailMessage
    _smtp: smtplib.SMTP | None = field(default=None, init=False)
    _aborted: bool = field(default=False, init=False)

    def run(self) -> None:
        """Return once it is accepted. Raises PostponedError or RefusedError."""
        try:
            smtp = self._smtp = self._client()
            try:
                self._connect(smtp)
                self._hand_in(smtp)
                with contextlib.suppress(OSError):  # it is accepted, whatever comes now
                    smtp.quit()
            finally:
                smtp.close()
        except smtplib.SMTPException as error:
            raise _meaning(error) from None
        except OSError as error:
            raise PostponedError(
                f"the mail server cannot be reached ({type(error).__name__})"
            ) from None

    def abort(self) -> None:
        """Cut the connection; what is not yet on its way is not sent any more."""
        self._aborted = True
        if self._smtp and self._smtp.sock:
            with contextlib.suppress(OSError):
                self._smtp.sock.shutdown(socket.SHUT_RDWR)

    def _client(self) -> smtplib.SMTP:
        """Not connected yet, so that `abort` can reach it while it waits for the first word."""
        timeout = self.mailbox.timeout_seconds
        if self.mailbox.server.tls_from_start:
            return smtplib.SMTP_SSL(timeout=timeout, context=ssl.create_default_context())
        return smtplib.SMTP(timeout=timeout)

    def _connect(self, smtp: smtplib.SMTP) -> None:
        server = self.mailbox.server
        # What certificates are checked against: only the constructor, which connects, sets it.
        smtp._host = server.host  # type: ignore[attr-defined] # noqa: SLF001 - see above
        code, words = smtp.connect(server.host, server.port)
        if code != _READY:
            raise smtplib.SMTPConnectError(code, words)

    def _hand_in(self, smtp: smtplib.SMTP) -> None:
        server = self.mailbox.server
        smtp.ehlo_or_helo_if_needed()
        secure = server.tls_from_start
        if not secure and smtp.has_extn("starttls"):
            smtp.starttls(context=ssl.create_default_context())
            secure = True
        if server.user and server.password:
            if not secure and not server.is_this_machine:
                raise PostponedError(
                    "the mail server offers no STARTTLS, and the password is not sent in the clear"
                )
            smtp.login(server.user, server.password.get_secret_value())
        # While connecting or securing there was no socket that `abort` could have cut.
        if self._aborted:
            raise PostponedError("it was aborted")
        smtp.send_message(self.message, self.mailbox.sender, [self.mailbox.recipient])


def _meaning(error: smtplib.SMTPException) -> PostponedError | RefusedError:
    """What an answer means, without the server's own words: they may repeat what it was told."""
    match error:
        case smtplib.SMTPConnectError() | smtplib.SMTPHeloError():
            return PostponedError(f"the mail server turns us away (SMTP {error.smtp_code})")
        case smtplib.SMTPAuthenticationError():
            what, code = "the login", error.smtp_code
        case smtplib.SMTPSenderRefused():
            what, code = "the sender", error.smtp_code
        case smtplib.SMTPRecipientsRefused():
            what, code = "the recipient", next(iter(error.recipients.values()))[0]
        case smtplib.SMTPResponseException():
            what, code = "the mail", error.smtp_code
        case _:
            return PostponedError(f"the mail server failed ({type(error).__name__})")
    reason = f"the mail server refused {what} (SMTP {code})"
    return RefusedError(reason) if code >= _LASTING else PostponedError(reason)


async def _in_a_thread(delivery: _Delivery) -> None:
    """Run it in a thread that nobody has to wait for: a pool's would hold up the worker's end."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def report(error: Exception | None) -> None:
        if ended.done():
            return
        if error:
            ended.set_exception(error)
        else:
            ended.set_result(None)

    def work() -> None:
        error = None
        try:
            delivery.run()
        except Exception as raised:  # noqa: BLE001 - handed on to whoever waits
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits any more
            loop.call_soon_threadsafe(report, error)

    threading.Thread(target=work, name="alert mail", daemon=True).start()
    try:
        await ended
    except asyncio.CancelledError:
        delivery.abort()
        raise
