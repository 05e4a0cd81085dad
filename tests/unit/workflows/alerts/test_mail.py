"""What a mail says, and what the answers of its server mean."""

from __future__ import annotations

import smtplib

import pytest

from workflows.alerts.alert import Alert
from workflows.alerts.channel import PostponedError, RefusedError
from workflows.alerts.mail import Mailbox, _meaning, compose
from workflows.alerts.smtp_server import SmtpServer

SENDER, RECIPIENT = "alerts@example.com", "ops@example.com"


def test_a_mail_says_what_happened(alert: Alert) -> None:
    message = compose(alert, SENDER, RECIPIENT)
    assert (message["From"], message["To"]) == (SENDER, RECIPIENT)
    assert message["Subject"] == alert.text
    assert message["Date"] == "Mon, 24 Nov 2025 12:30:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().splitlines() == [
        alert.text,
        "",
        "namespace: default",
        "workflow: my-video",
        "run: run-1",
        "activity: await_video (id 4)",
        "task queue: video",
        "begun: 2025-11-24T12:30:00+00:00",
    ]


def test_a_second_copy_has_the_same_message_id(alert: Alert) -> None:
    first, second = (compose(alert, SENDER, RECIPIENT)["Message-ID"] for _ in range(2))
    assert first == second == f"<{alert.key}@example.com>"


def test_another_attempt_has_another_message_id(alert: Alert) -> None:
    other = alert.model_copy(update={"attempt": 3})
    ids = {compose(each, SENDER, RECIPIENT)["Message-ID"] for each in (alert, other)}
    assert len(ids) == 2


def test_a_name_writes_no_header(alert: Alert) -> None:
    odd = alert.model_copy(update={"workflow_id": "a\r\nBcc: spy@example.com"})
    message = compose(odd, SENDER, RECIPIENT)
    assert message["Bcc"] is None
    assert b"\r\nBcc:" not in message.as_bytes().partition(b"\r\n\r\n")[0]


def test_any_letters_fit_into_a_mail(alert: Alert) -> None:
    odd = alert.model_copy(update={"workflow_id": "größe-狐-" + "x" * 900})
    assert compose(odd, SENDER, RECIPIENT).as_bytes().isascii()


def test_the_name_of_a_mailbox_fits_a_folder() -> None:
    mailbox = Mailbox(SmtpServer("mail.test", 25, False), SENDER, "a/b+c@example.com", 1)
    assert mailbox.name == "email-a%2Fb%2Bc@example.com"


SECRET = b"hush-hush"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (smtplib.SMTPRecipientsRefused({RECIPIENT: (550, SECRET)}), "the recipient (SMTP 550)"),
        (smtplib.SMTPSenderRefused(553, SECRET, SENDER), "the sender (SMTP 553)"),
        (smtplib.SMTPDataError(554, SECRET), "the mail (SMTP 554)"),
        (smtplib.SMTPAuthenticationError(535, SECRET), "the login (SMTP 535)"),
    ],
)
def test_a_lasting_refusal_is_final(error: smtplib.SMTPException, said: str) -> None:
    meaning = _meaning(error)
    assert isinstance(meaning, RefusedError)
    assert str(meaning) == f"the mail server refused {said}"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            smtplib.SMTPRecipientsRefused({RECIPIENT: (451, SECRET)}),
            "the mail server refused the recipient (SMTP 451)",
        ),
        (smtplib.SMTPDataError(452, SECRET), "the mail server refused the mail (SMTP 452)"),
        (
            smtplib.SMTPAuthenticationError(454, SECRET),
            "the mail server refused the login (SMTP 454)",
        ),
        # It says nothing about this mail: the server itself has no time, or does not know us.
        (smtplib.SMTPConnectError(554, SECRET), "the mail server turns us away (SMTP 554)"),
        (
            smtplib.SMTPServerDisconnected(SECRET.decode()),
            "the mail server failed (SMTPServerDisconnected)",
        ),
    ],
)
def test_a_passing_refusal_is_no_end(error: smtplib.SMTPException, said: str) -> None:
    meaning = _meaning(error)
    assert isinstance(meaning, PostponedError)
    assert str(meaning) == said
