"""Channels are set by environment variables; each fault is a sentence that shows no secret."""

from __future__ import annotations

import pytest

from workflows.alerts import load_alert_settings
from workflows.settings import SettingsError

WEBHOOK = "https://hooks.test/services/hush-hush"
SMTP = "smtp://robot:hush-hush@mail.test:2525"
EMAIL = {
    "ALERT_SMTP_URL": SMTP,
    "ALERT_EMAIL_FROM": "alerts@example.com",
    "ALERT_EMAIL_TO": "ops@example.com",
}


def set_email(environment: pytest.MonkeyPatch, **changes: str) -> None:
    for name, value in {**EMAIL, **changes}.items():
        environment.setenv(name, value)


def fault() -> str:
    with pytest.raises(SettingsError) as raised:
        load_alert_settings()
    assert raised.value.__suppress_context__
    assert "hush" not in str(raised.value)
    return str(raised.value)


@pytest.mark.usefixtures("environment")
def test_nothing_need_be_set() -> None:
    settings = load_alert_settings()
    assert (settings.alert_webhook_url, settings.smtp_server, settings.recipients) == (
        None,
        None,
        (),
    )


def test_an_empty_variable_is_not_set(environment: pytest.MonkeyPatch) -> None:
    for name in ("ALERT_WEBHOOK_URL", *EMAIL):
        environment.setenv(name, "")
    assert load_alert_settings().alert_webhook_url is None
    assert load_alert_settings().smtp_server is None


def test_a_webhook_is_set_by_its_url(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALERT_WEBHOOK_URL", WEBHOOK)
    url = load_alert_settings().alert_webhook_url
    assert url is not None
    assert url.get_secret_value() == WEBHOOK


def test_email_is_set_by_three_variables(environment: pytest.MonkeyPatch) -> None:
    set_email(environment, ALERT_EMAIL_TO="ops@example.com, boss@example.com,ops@example.com")
    settings = load_alert_settings()
    assert settings.alert_email_from == "alerts@example.com"
    assert settings.recipients == ("ops@example.com", "boss@example.com")
    assert settings.smtp_server is not None
    assert settings.smtp_server.host == "mail.test"


@pytest.mark.parametrize("name", EMAIL)
def test_a_part_of_email_that_is_missing_is_named(
    environment: pytest.MonkeyPatch, name: str
) -> None:
    set_email(environment)
    environment.delenv(name)
    assert fault() == (
        f"alerts by e-mail need {name} as well; "
        "set all three of ALERT_SMTP_URL, ALERT_EMAIL_FROM, ALERT_EMAIL_TO, or none."
    )


@pytest.mark.parametrize(
    "url",
    [
        "hush-hush",
        "ftp://hooks.test/hush",
        "https://",
        "https://hooks.test/hush\nhush",
        "https://hooks.test/hush hush",
        "https://hooks.test:hush/",
        "https://hooks.test:99999/hush",
        "https://[hush",
    ],
)
def test_a_webhook_that_is_no_web_address_is_refused(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("ALERT_WEBHOOK_URL", url)
    assert fault() == (
        "ALERT_WEBHOOK_URL must be one web address such as https://hooks.slack.com/services/…."
    )


def test_a_mail_server_of_another_form_is_refused(environment: pytest.MonkeyPatch) -> None:
    set_email(environment, ALERT_SMTP_URL="smtp://robot:hush#hush@mail.test")
    assert fault().startswith("ALERT_SMTP_URL must look like smtp://user:password@host:587 or ")


@pytest.mark.parametrize(
    "address", ["nobody", "a b@example.com", "A <a@example.com>", "a@b@c.test", "a@x,b@y", "ä@x.y"]
)
def test_a_sender_that_is_no_address_is_refused(
    environment: pytest.MonkeyPatch, address: str
) -> None:
    set_email(environment, ALERT_EMAIL_FROM=address)
    expected = "ALERT_EMAIL_FROM must be one plain e-mail address such as alerts@example.com."
    assert fault() == expected


@pytest.mark.parametrize("addresses", ["ops", "ops@example.com,", "ops@x.y;boss@x.y", " , "])
def test_recipients_that_are_no_addresses_are_refused(
    environment: pytest.MonkeyPatch, addresses: str
) -> None:
    set_email(environment, ALERT_EMAIL_TO=addresses)
    assert fault() == "ALERT_EMAIL_TO must be plain e-mail addresses with commas between them."


def test_settings_show_no_secret(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALERT_WEBHOOK_URL", WEBHOOK)
    set_email(environment)
    settings = load_alert_settings()
    shown = f"{settings} {settings!r} {settings.model_dump_json()} {settings.smtp_server!r}"
    assert "hush-hush" not in shown
