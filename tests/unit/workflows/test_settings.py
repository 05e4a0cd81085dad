"""Settings come from the environment, and each fault is told in a sentence without its value."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from workflows import policies
from workflows.settings import Settings, SettingsError, load_settings

PAYMENT_JOURNAL_URL = "postgresql+psycopg://till:hush-hush@db.test/paid"


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


def test_costs_follow_from_the_models_the_length_and_the_resolution(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("GEMINI_IMAGE_MODEL", "gemini-2.5-flash-image")
    environment.setenv("GEMINI_VIDEO_MODEL", "veo-3.1-fast-generate-preview")
    environment.setenv("VIDEO_RESOLUTION", "1080p")
    environment.setenv("VIDEO_SECONDS", "8")
    settings = load_settings()
    assert settings.image_cost_usd() == Decimal("0.039")
    assert settings.video_cost_usd() == Decimal("0.96")


def test_a_missing_or_empty_key_is_named(clean_environment: pytest.MonkeyPatch) -> None:
    assert fault() == "GEMINI_API_KEY is not set; put it into the environment or into .env."
    clean_environment.setenv("GEMINI_API_KEY", "")
    assert fault() == "GEMINI_API_KEY is empty."


@pytest.mark.parametrize("key", ["hush\nhush", "hush hush", "hush\n", "hush\thush", "hüsh"])
def test_a_key_that_fits_no_header_is_refused_and_not_shown(
    environment: pytest.MonkeyPatch, key: str
) -> None:
    environment.setenv("GEMINI_API_KEY", key)
    expected = (
        "GEMINI_API_KEY has a space, a line break or another character that keys do not have."
    )
    assert fault() == expected


@pytest.mark.parametrize("variable", ["GEMINI_IMAGE_MODEL", "GEMINI_VIDEO_MODEL"])
def test_a_model_without_a_price_is_refused(environment: pytest.MonkeyPatch, variable: str) -> None:
    environment.setenv(variable, "a-new-model")
    assert "is known for the model 'a-new-model' at " in fault()


@pytest.mark.parametrize("seconds", ["4", "6"])
def test_a_length_that_no_video_has_at_the_resolution_is_refused(
    environment: pytest.MonkeyPatch, seconds: str
) -> None:
    environment.setenv("VIDEO_RESOLUTION", "1080p")
    environment.setenv("VIDEO_SECONDS", seconds)
    assert fault() == (
        f"VIDEO_SECONDS must be 8 where VIDEO_RESOLUTION is 1080p, not {seconds}; "
        "set VIDEO_SECONDS=8, or VIDEO_RESOLUTION=720p."
    )


@pytest.mark.usefixtures("environment")
def test_a_lost_reply_is_paid_for_again_once_and_there_is_no_budget_unless_it_is_set() -> None:
    settings = load_settings()
    assert (settings.in_doubt_policy, settings.in_doubt_resends) == ("resend", 1)
    assert (settings.budget_usd, settings.pay_while_locked) == (None, None)


@pytest.mark.usefixtures("environment")
def test_deadlines_are_those_of_the_policies() -> None:
    settings = load_settings()
    assert settings.image_deadline_seconds == policies.IMAGE_DEADLINE_SECONDS
    assert settings.video_start_deadline_seconds == policies.VIDEO_START_DEADLINE_SECONDS
    assert settings.video_deadline_seconds == policies.VIDEO_DEADLINE.total_seconds()


def test_the_rules_for_paying_are_set_by_their_names(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("IN_DOUBT_POLICY", "ask")
    environment.setenv("IN_DOUBT_RESENDS", "0")
    environment.setenv("BUDGET_USD", "12.345")
    environment.setenv("IMAGE_DEADLINE_SECONDS", "7")
    environment.setenv("VIDEO_START_DEADLINE_SECONDS", "8.5")
    environment.setenv("VIDEO_DEADLINE_SECONDS", "7.5")
    environment.setenv("PAY_WHILE_LOCKED", "run.lock")
    settings = load_settings()
    assert (settings.in_doubt_policy, settings.in_doubt_resends) == ("ask", 0)
    assert settings.budget_usd == Decimal("12.345")
    assert settings.image_deadline_seconds == 7
    assert settings.video_start_deadline_seconds == 8.5
    assert settings.video_deadline_seconds == 7.5
    assert settings.pay_while_locked == Path("run.lock")


def test_a_budget_of_nothing_is_one(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BUDGET_USD", "0")
    assert load_settings().budget_usd == Decimal(0)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("IN_DOUBT_POLICY", "guess"),
        ("IN_DOUBT_POLICY", "RESEND"),
        ("IN_DOUBT_POLICY", ""),
        ("IN_DOUBT_RESENDS", "-1"),
        ("IN_DOUBT_RESENDS", "1.5"),
        ("BUDGET_USD", "-0.01"),
        ("BUDGET_USD", "nan"),
        ("BUDGET_USD", "Infinity"),
        ("IMAGE_DEADLINE_SECONDS", "0"),
        ("IMAGE_DEADLINE_SECONDS", "inf"),
        ("VIDEO_START_DEADLINE_SECONDS", "-1"),
        ("VIDEO_START_DEADLINE_SECONDS", "nan"),
        ("VIDEO_DEADLINE_SECONDS", "0"),
        ("VIDEO_DEADLINE_SECONDS", "inf"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_name(
    environment: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    environment.setenv(variable, value)
    assert fault().startswith(f"{variable}: ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LEDGER_URL", "PAYMENT_JOURNAL_URL"),
        ("ledger_url", "PAYMENT_JOURNAL_URL"),
        ("AMBIGUOUS_START", "IN_DOUBT_POLICY"),
        ("AMBIGUOUS_RESENDS", "IN_DOUBT_RESENDS"),
    ],
)
def test_a_name_of_an_earlier_release_is_refused_even_beside_the_new_one(
    environment: pytest.MonkeyPatch, old: str, new: str
) -> None:
    environment.setenv(old, "")
    environment.setenv(new, "1")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value) == f"{old.upper()} is now called {new}; rename it."


def test_settings_do_not_show_the_password_of_the_journal(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PAYMENT_JOURNAL_URL", PAYMENT_JOURNAL_URL)
    settings = load_settings()
    assert "hush-hush" not in f"{settings} {settings!r} {settings.model_dump_json()}"


def test_a_fault_does_not_show_the_password_of_the_journal(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PAYMENT_JOURNAL_URL", PAYMENT_JOURNAL_URL)
    environment.setenv("BUDGET_USD", "-1")
    assert "hush-hush" not in fault()


@pytest.mark.parametrize(
    "url", ["https://api.test", "http://127.0.0.1:8000", "http://[::1]:8000/v1", "HTTPS://api.test"]
)
def test_the_api_may_be_elsewhere(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("GOOGLE_GEMINI_BASE_URL", url)
    assert load_settings().google_gemini_base_url == url


def test_an_empty_address_of_the_api_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GOOGLE_GEMINI_BASE_URL", "")
    assert fault() == "GOOGLE_GEMINI_BASE_URL is empty; unset it, or name the API's address."


@pytest.mark.parametrize(
    "url",
    [
        "api.test",
        "api.test:443",
        "ftp://me:hush-hush@api.test",
        "https://",
        "https://:443",
        "https:///v1",
        "http://[::1",
        "http://me:hush-hush@api.test:abc",
        "http://api.test:65536",
        "http://api.test:0",
        "http://api test",
        " https://api.test",
        "https://api.test\n",
    ],
)
def test_an_address_that_no_api_has_is_refused_and_not_shown(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("GOOGLE_GEMINI_BASE_URL", url)
    assert fault() == (
        "GOOGLE_GEMINI_BASE_URL must be http:// or https:// and a host, such as "
        "https://api.example."
    )


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


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"TEMPORAL_WORKER_BUILD_ID": "7"},
            (
                "TEMPORAL_WORKER_BUILD_ID is set and TEMPORAL_DEPLOYMENT_NAME is not; set both for "
                "Worker Versioning, or none."
            ),
        ),
        (
            {"TEMPORAL_DEPLOYMENT_NAME": "video.eu"},
            (
                "TEMPORAL_DEPLOYMENT_NAME must have no point and no colon, which Temporal puts "
                "after it."
            ),
        ),
        (
            {"TEMPORAL_DEPLOYMENT_NAME": ""},
            "TEMPORAL_DEPLOYMENT_NAME must have 1 to 255 characters, all printable.",
        ),
        (
            {"TEMPORAL_DEPLOYMENT_NAME": "video", "TEMPORAL_WORKER_BUILD_ID": "b" * 256},
            "TEMPORAL_WORKER_BUILD_ID must have 1 to 255 characters, all printable.",
        ),
    ],
)
def test_a_version_that_no_server_takes_is_refused(
    environment: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)

    assert fault() == sentence


def test_a_build_id_may_have_a_point(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TEMPORAL_DEPLOYMENT_NAME", "video")
    environment.setenv("TEMPORAL_WORKER_BUILD_ID", "1.4.2")

    assert load_settings().temporal_worker_build_id == "1.4.2"
