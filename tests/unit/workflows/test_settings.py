"""Settings come from the environment, and each fault is told in a sentence without its value."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from workflows.settings import Settings, SettingsError, load_settings


@pytest.fixture
def environment(clean_environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing but a key that will do."""
    clean_environment.setenv("GEMINI_API_KEY", "a-key")
    return clean_environment


def fault() -> str:
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert raised.value.__suppress_context__
    return str(raised.value)


def test_a_key_is_all_that_must_be_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GEMINI_API_KEY", "another-key")
    assert load_settings().gemini_api_key.get_secret_value() == "another-key"


def test_each_setting_is_the_variable_of_its_name(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("VIDEO_SECONDS", "8")
    environment.setenv("ARTIFACTS_DIR", "made")
    environment.setenv("TASK_QUEUE", "video-2")
    settings = load_settings()
    assert (settings.video_seconds, settings.artifacts_dir) == (8, Path("made"))
    assert settings.task_queue == "video-2"


def test_costs_follow_from_the_models_and_the_length(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GEMINI_IMAGE_MODEL", "gemini-2.5-flash-image")
    environment.setenv("GEMINI_VIDEO_MODEL", "veo-3.0-generate-001")
    environment.setenv("VIDEO_SECONDS", "8")
    settings = load_settings()
    assert settings.image_cost_usd() == Decimal("0.039")
    assert settings.video_cost_usd() == Decimal("2.40")


@pytest.mark.usefixtures("clean_environment")
def test_a_missing_key_is_named() -> None:
    assert fault() == "GEMINI_API_KEY is not set; put it into the environment or into .env."


def test_an_empty_key_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GEMINI_API_KEY", "")
    assert fault() == "GEMINI_API_KEY is empty."


@pytest.mark.parametrize("key", ["hush\nhush", "hush hush", "hush\n", "hush\thush", "hüsh"])
def test_a_key_that_fits_no_header_is_refused_and_not_shown(
    environment: pytest.MonkeyPatch, key: str
) -> None:
    environment.setenv("GEMINI_API_KEY", key)
    expected = "GEMINI_API_KEY has a space, a line break or another character no key has."
    assert fault() == expected


@pytest.mark.parametrize(
    ("variable", "unit", "known"),
    [
        ("GEMINI_IMAGE_MODEL", "image", "gemini-3.1-flash-image"),
        ("GEMINI_VIDEO_MODEL", "second", "veo-3.1-generate-preview"),
    ],
)
def test_a_model_without_a_price_is_refused(
    environment: pytest.MonkeyPatch, variable: str, unit: str, known: str
) -> None:
    environment.setenv(variable, "a-new-model")
    said = fault()
    assert said.startswith(f"no price per {unit} is known for the model 'a-new-model'; known: ")
    assert known in said


@pytest.mark.parametrize("seconds", ["3", "5", "9"])
def test_a_length_that_no_video_has_is_refused(
    environment: pytest.MonkeyPatch, seconds: str
) -> None:
    environment.setenv("VIDEO_SECONDS", seconds)
    assert fault() == f"VIDEO_SECONDS must be 4, 6 or 8, not {seconds}."


def test_a_value_of_the_wrong_kind_is_named_and_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("VIDEO_POLL_SECONDS", "a-secret-put-into-the-wrong-variable")
    said = fault()
    assert said.startswith("VIDEO_POLL_SECONDS: ")
    assert "secret" not in said


@pytest.mark.usefixtures("clean_environment")
def test_every_fault_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO_SECONDS", "9")
    said = fault()
    assert "GEMINI_API_KEY" in said
    assert "VIDEO_SECONDS" in said


def test_settings_do_not_show_the_key(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GEMINI_API_KEY", "hush-hush")
    settings: Settings = load_settings()
    assert "hush-hush" not in f"{settings} {settings!r} {settings.model_dump_json()}"
