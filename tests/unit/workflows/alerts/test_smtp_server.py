"""An SMTP URL names host, port, security and login; a wrong one is refused and not shown."""

from __future__ import annotations

import pytest

from workflows.alerts.smtp_server import SmtpServer


@pytest.mark.parametrize(
    ("url", "host", "port", "tls_from_start"),
    [
        ("smtp://mail.test", "mail.test", 587, False),
        ("smtp://mail.test:25/", "mail.test", 25, False),
        ("smtps://mail.test", "mail.test", 465, True),
        ("smtps://[::1]:1465", "::1", 1465, True),
    ],
)
def test_a_url_names_host_port_and_security(
    url: str, host: str, port: int, *, tls_from_start: bool
) -> None:
    assert SmtpServer.parse(url) == SmtpServer(host, port, tls_from_start)


def test_user_and_password_are_decoded() -> None:
    server = SmtpServer.parse("smtp://robot%40example.com:p%40%2F%3A%23%25@mail.test")
    assert server.user == "robot@example.com"
    assert server.password is not None
    assert server.password.get_secret_value() == "p@/:#%"


@pytest.mark.parametrize(
    "url",
    [
        "mail.test:25",
        "http://mail.test",
        "smtp://",
        "smtp://mail.test:hush",
        "smtp://mail.test:99999",
        "smtp://user@mail.test",
        "smtp://:hush@mail.test",
        "smtp://user:hu/sh@mail.test",
        "smtp://user:hu#sh@mail.test",
        "smtp://user:hu?sh@mail.test",
        "smtp://mail.test/hush",
        "smtp://[hush",
    ],
)
def test_a_url_of_another_form_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"^must look like smtp://user:password@host") as raised:
        SmtpServer.parse(url)
    assert "sh@" not in str(raised.value)
    # Not the error of the parser either, which quotes what it was given.
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize("password", ["h%C3%BCsh", "hush%0Ahush", "hush%00"])
def test_a_password_that_no_login_takes_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match=r"^has a user or password with a character"):
        SmtpServer.parse(f"smtp://user:{password}@mail.test")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("[::1]", True), ("localhost", True), ("mail.test", False)],
)
def test_this_machine_is_known(host: str, *, expected: bool) -> None:
    assert SmtpServer.parse(f"smtp://{host}").is_this_machine is expected
