"""`ALERT_URLS` names the receivers; whatever is wrong with it, nothing shows a URL."""

from __future__ import annotations

import logging

import pytest

from workflows.alerts import load_receivers
from workflows.alerts.alert import Alert
from workflows.alerts.receivers import FORMER_VARIABLES, VARIABLE
from workflows.settings import SettingsError

SLACK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/HushHushHushHushHushHush"
MAIL = "mailtos://robot:hush-hush@example.com?to=ops@example.com"


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VARIABLE, *FORMER_VARIABLES):
        monkeypatch.delenv(name, raising=False)


def names(monkeypatch: pytest.MonkeyPatch, urls: str) -> list[str]:
    monkeypatch.setenv(VARIABLE, urls)
    return [receiver.name for receiver in load_receivers()]


@pytest.mark.parametrize("urls", ["", "  "])
def test_no_receiver_need_be_named(monkeypatch: pytest.MonkeyPatch, urls: str) -> None:
    assert load_receivers() == ()
    assert names(monkeypatch, urls) == []


@pytest.mark.parametrize("separator", [" ", ", ", ",", "\n"])
def test_each_url_is_a_receiver_with_a_number(
    monkeypatch: pytest.MonkeyPatch, separator: str
) -> None:
    assert names(monkeypatch, f"{SLACK}{separator}{MAIL}") == [
        "receiver 1 of ALERT_URLS (Slack)",
        "receiver 2 of ALERT_URLS (E-Mail)",
    ]


@pytest.mark.parametrize(
    "urls", ["hush", f"{SLACK} hush://hush", "slack://hush", "json://host:hush/", f"hush, {MAIL}"]
)
def test_what_is_no_url_of_apprise_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, urls: str
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SettingsError, match=r"^ALERT_URLS must be Apprise URLs") as raised:
        names(monkeypatch, urls)
    shown = f"{raised.value} {raised.value.__cause__} {caplog.text}".lower()
    assert "hush" not in shown


@pytest.mark.parametrize("name", FORMER_VARIABLES)
def test_a_setting_of_an_earlier_version_is_refused_with_the_new_one(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(VARIABLE, MAIL)
    monkeypatch.setenv(name, "hush-hush")
    with pytest.raises(SettingsError) as raised:
        load_receivers()
    assert str(raised.value).startswith(f"{name} no longer exist")
    assert "name all receivers of alerts in ALERT_URLS" in str(raised.value)
    assert "hush" not in str(raised.value)


def test_an_error_of_a_receiver_is_a_refusal_and_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, alert: Alert
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(VARIABLE, "json://robot:hush-hush@127.0.0.1:1/hush-hush")
    (receiver,) = load_receivers()

    assert receiver.send(alert) is False

    def fail(**_: object) -> None:
        raise LookupError("hush-hush")

    monkeypatch.setattr(receiver._sender, "notify", fail)
    assert receiver.send(alert) is False
    assert "hush" not in caplog.text
