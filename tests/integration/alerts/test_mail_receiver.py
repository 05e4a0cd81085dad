"""A real mail server gets each alert once for each recipient, with a login, over every failure."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from chaos.process.ports import Port
from chaos.process.waiting import wait_until
from tests.integration.alerts.mail_receiver import PASSWORD, MailReceiver
from workflows.alerts import Alerts, AlertSettings
from workflows.alerts.alert import Alert
from workflows.alerts.limits import Limits
from workflows.alerts.smtp_server import SmtpServer

DEADLINE_SECONDS = 20.0
IMPATIENT = Limits(first_retry_seconds=0.02, longest_retry_seconds=0.1, rescan_seconds=0.1)
OPS, BOSS = "ops@example.com", "boss@example.com"


def alerts_to(url: str, folder: Path, to: str = OPS, limits: Limits = IMPATIENT) -> Alerts:
    settings = AlertSettings.model_validate(
        {"alert_smtp_url": url, "alert_email_from": "alerts@example.com", "alert_email_to": to}
    )
    return Alerts(settings, folder, limits)


async def until(condition: Callable[[], bool], what: str) -> None:
    await wait_until(condition, what=what, deadline_seconds=DEADLINE_SECONDS)


def waiting(folder: Path) -> int:
    return len(list(folder.glob("*/*.json")))


def refused(folder: Path) -> list[str]:
    return [file.parent.parent.name for file in folder.glob("*/refused/*.json")]


async def delivered(folder: Path) -> None:
    """Nothing more can come after this: no alert waits."""
    await until(lambda: waiting(folder) == 0, "no alert waits")


async def test_an_alert_is_mailed_once_after_a_login(
    mail: MailReceiver, alert: Alert, tmp_path: Path
) -> None:
    async with alerts_to(mail.url(), tmp_path) as alerts:
        await alerts.tell(alert)
        await delivered(tmp_path)
    ((recipient, message),) = mail.accepted
    assert (recipient, message["To"], message["From"]) == (OPS, OPS, "alerts@example.com")
    assert " ".join(str(message["Subject"]).split()) == alert.text
    assert message["Message-ID"] == f"<{alert.key}@example.com>"
    assert mail.logins == [True]


async def test_each_recipient_gets_it_once_though_one_is_refused_for_now(
    mail: MailReceiver, alert: Alert, tmp_path: Path
) -> None:
    mail.refusals = {BOSS: ["451 try later", "452 mailbox full"]}
    async with alerts_to(mail.url(), tmp_path, f"{OPS},{BOSS}") as alerts:
        await alerts.tell(alert)
        await delivered(tmp_path)
    assert sorted(mail.recipients()) == [BOSS, OPS]
    assert mail.refusals == {BOSS: []}


async def test_a_recipient_who_does_not_exist_is_told_and_kept_aside(
    mail: MailReceiver, alert: Alert, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mail.refusals = {BOSS: ["550 no such user", "550 asked twice"]}
    async with alerts_to(mail.url(), tmp_path, f"{OPS},{BOSS}") as alerts:
        await alerts.tell(alert)
        await delivered(tmp_path)
    assert mail.recipients() == [OPS]
    assert refused(tmp_path) == [f"email-{BOSS}"]
    assert mail.refusals == {BOSS: ["550 asked twice"]}
    assert "the mail server refused the recipient (SMTP 550)" in caplog.text


async def test_a_wrong_password_is_told_and_not_shown(
    mail: MailReceiver, alert: Alert, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with alerts_to(mail.url("hush-wrong"), tmp_path) as alerts:
        await alerts.tell(alert)
        await delivered(tmp_path)
    assert (mail.accepted, refused(tmp_path)) == ([], [f"email-{OPS}"])
    said = [r.getMessage() for r in caplog.records if r.name.startswith("workflows.")]
    assert any("the mail server refused the login (SMTP 535)" in line for line in said)
    assert not any("hush" in line for line in said)


async def test_a_server_that_comes_back_gets_what_came_meanwhile(
    mail: MailReceiver, alert: Alert, tmp_path: Path
) -> None:
    await mail.go()
    async with alerts_to(mail.url(), tmp_path) as alerts:
        for attempt in (2, 3):
            await alerts.tell(alert.model_copy(update={"attempt": attempt}))
        assert waiting(tmp_path) == 2
        await mail.come()
        await delivered(tmp_path)
    assert len({message["Message-ID"] for _, message in mail.accepted}) == 2
    assert mail.recipients() == [OPS, OPS]


async def test_a_server_that_says_nothing_delays_neither_the_activity_nor_the_stop(
    alert: Alert, tmp_path: Path
) -> None:
    connected, left = asyncio.Event(), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()
        left.set()

    port = Port()
    server = await asyncio.start_server(hang, "127.0.0.1", port.number)
    async with server:
        async with alerts_to(f"smtp://{port.address}", tmp_path, limits=Limits()) as alerts:
            await alerts.tell(alert)
            await until(connected.is_set, "it has been connected to")
            begun = time.monotonic()
            await alerts.tell(alert.model_copy(update={"attempt": 3}))
            assert time.monotonic() - begun < 1
            begun = time.monotonic()
        assert time.monotonic() - begun < 4
        # The connection is cut: its thread does not wait on.
        await until(left.is_set, "it has been left")
    port.release()
    assert waiting(tmp_path) == 2


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """Whom this process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


def context_of(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_the_connection_is_secured_where_the_server_can(
    authority: trustme.CA, alert: Alert, tmp_path: Path
) -> None:
    async with MailReceiver(starttls=context_of(authority)) as mail:
        async with alerts_to(mail.url(), tmp_path / "alerts") as alerts:
            await alerts.tell(alert)
            await delivered(tmp_path / "alerts")
        assert (mail.recipients(), mail.secured) == ([OPS], [True])


async def test_the_connection_is_secure_from_the_start_with_smtps(
    authority: trustme.CA, alert: Alert, tmp_path: Path
) -> None:
    async with MailReceiver(tls_from_start=context_of(authority)) as mail:
        async with alerts_to(mail.url(scheme="smtps"), tmp_path / "alerts") as alerts:
            await alerts.tell(alert)
            await delivered(tmp_path / "alerts")
        assert mail.recipients() == [OPS]


@pytest.mark.usefixtures("authority")
async def test_a_stranger_gets_neither_password_nor_mail(
    alert: Alert, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard = bytearray()
    stranger = context_of(trustme.CA())

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A mail server up to the moment where it must show who it is."""
        try:
            for words in (b"220 me\r\n", b"250-me\r\n250 STARTTLS\r\n"):
                writer.write(words)
                heard.extend(await reader.readline())
            writer.write(b"220 go on\r\n")
            await writer.start_tls(stranger)
            heard.extend(await reader.read())
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    port = Port()
    server = await asyncio.start_server(pretend, "127.0.0.1", port.number)
    url = f"smtp://robot:{PASSWORD}@{port.address}"
    async with server, alerts_to(url, tmp_path / "alerts") as alerts:
        await alerts.tell(alert)
        await until(lambda: "SSLCertVerificationError" in caplog.text, "it is told")
    port.release()
    words = {line.split()[0].upper() for line in bytes(heard).splitlines()}
    assert words == {b"EHLO", b"STARTTLS"}
    assert waiting(tmp_path / "alerts") == 1


async def test_the_password_is_not_sent_in_the_clear_to_another_machine(
    mail: MailReceiver,
    alert: Alert,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SmtpServer, "is_this_machine", False)
    async with alerts_to(mail.url(), tmp_path) as alerts:
        await alerts.tell(alert)
        await until(lambda: "offers no STARTTLS" in caplog.text, "it is told")
    assert (mail.accepted, mail.logins) == ([], [])
    assert PASSWORD not in caplog.text
    assert waiting(tmp_path) == 1
