"""Settings of the service come from the environment; each fault is told without its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflows import policies
from workflows.entry import load_dotenv_file
from workflows.service.settings import ServiceSettings, load_settings
from workflows.settings import SettingsError

TOKEN = "hush-hush-hush-hush"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in ServiceSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def fault() -> str:
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert raised.value.__suppress_context__
    return str(raised.value)


def test_nothing_need_be_set() -> None:
    settings = load_settings()
    assert (settings.service_host, settings.service_port) == ("127.0.0.1", 3007)
    assert (settings.service_token, settings.task_queue) == (None, policies.TASK_QUEUE)


def test_each_setting_is_the_variable_of_its_name(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SERVICE_HOST", "::1")
    environment.setenv("SERVICE_PORT", "4000")
    environment.setenv("SERVICE_TOKEN", TOKEN)
    environment.setenv("TASK_QUEUE", "video-2")
    settings = load_settings()
    assert (settings.service_host, settings.service_port) == ("::1", 4000)
    assert settings.service_token
    assert settings.service_token.get_secret_value() == TOKEN
    assert settings.task_queue == "video-2"
    assert TOKEN not in repr(settings)


def test_what_is_given_counts_more(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SERVICE_PORT", "4000")
    assert load_settings(host="::1", port=5000).service_port == 5000


@pytest.mark.parametrize("token", [f"{TOKEN} {TOKEN}", f"{TOKEN}\n", f"{TOKEN}é"])
def test_a_token_no_header_can_carry_is_told_and_not_shown(
    environment: pytest.MonkeyPatch, token: str
) -> None:
    environment.setenv("SERVICE_TOKEN", token)
    assert fault() == (
        "SERVICE_TOKEN has a space, a line break or another character that tokens do not have."
    )


def test_an_empty_token_is_told(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SERVICE_TOKEN", "")
    assert fault() == "SERVICE_TOKEN is empty; give it a value, or remove it."


@pytest.mark.parametrize("token", ["a", TOKEN[:15]])
def test_a_token_that_can_be_guessed_is_refused_and_not_shown(
    environment: pytest.MonkeyPatch, token: str
) -> None:
    environment.setenv("SERVICE_TOKEN", token)
    assert fault() == (
        "SERVICE_TOKEN is shorter than 16 characters; make one by: openssl rand -hex 32."
    )


def test_the_shortest_token_is_taken(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SERVICE_TOKEN", TOKEN[:16])
    assert load_settings().service_token


def test_each_fault_has_its_sentence(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SERVICE_PORT", "0")
    environment.setenv("TASK_QUEUE", "")
    assert fault() == (
        "SERVICE_PORT: Input should be greater than or equal to 1. "
        "TASK_QUEUE: String should have at least 1 character."
    )


def test_a_file_gives_what_the_environment_does_not(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("SERVICE_PORT", "4000")
    (tmp_path / ".env").write_text("SERVICE_PORT=5000\nTASK_QUEUE=of-the-file\n")
    environment.chdir(tmp_path)
    load_dotenv_file()
    settings = load_settings()
    environment.delenv("TASK_QUEUE")
    assert (settings.service_port, settings.task_queue) == (4000, "of-the-file")
