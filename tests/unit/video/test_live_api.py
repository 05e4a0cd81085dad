"""What a user must have set before the paid API is used, and what its workers then get."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from chaos.evidence.bills import Billing, Mode
from tests.chaos.video.fake_api.bills import Item
from tests.chaos.video.live_api import (
    LOOPBACK_VARIABLE,
    LiveApi,
    LiveError,
    default_models,
    load_live_api,
)
from workflows import policies
from workflows.settings import Settings

KEY = "hush-hush"
BUDGET_USD = Decimal("15.00")
PROXY = "http://proxy.test:3128"
PASSED_ON = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing of the user's own settings; set what the test needs on what this returns."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in (LOOPBACK_VARIABLE, *PASSED_ON):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def environment(nothing: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing but a key."""
    nothing.setenv("GEMINI_API_KEY", KEY)
    return nothing


def _fault(folder: Path) -> str:
    with pytest.raises(LiveError) as raised:
        load_live_api(BUDGET_USD, folder)
    assert raised.value.__cause__ is None
    assert KEY not in repr(raised.value)
    return str(raised.value)


def _key(live: LiveApi) -> str:
    return live.key.get_secret_value()


NEEDS_A_KEY = "--live needs a key: put GEMINI_API_KEY into the environment or into .env."


@pytest.mark.usefixtures("nothing")
def test_without_a_key_nothing_begins(tmp_path: Path) -> None:
    assert _fault(tmp_path) == NEEDS_A_KEY


def test_an_empty_key_is_none(nothing: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nothing.setenv("GEMINI_API_KEY", "")
    (tmp_path / ".env").write_text("GEMINI_API_KEY=\n")

    assert _fault(tmp_path) == NEEDS_A_KEY


def test_a_key_of_another_name_is_none(nothing: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nothing.setenv("GOOGLE_API_KEY", KEY)

    assert _fault(tmp_path) == NEEDS_A_KEY


def test_a_key_that_fits_no_header_is_refused_and_not_shown(
    nothing: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nothing.setenv("GEMINI_API_KEY", f"{KEY}\n{KEY}")

    assert _fault(tmp_path) == (
        "--live cannot begin: GEMINI_API_KEY has a space, a line break or another character that "
        "keys do not have."
    )


@pytest.mark.usefixtures("nothing")
def test_the_key_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"GEMINI_API_KEY={KEY}\n")

    assert _key(load_live_api(BUDGET_USD, tmp_path)) == KEY


def test_the_environment_comes_before_the_file(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("VIDEO_SECONDS", "8")
    (tmp_path / ".env").write_text(
        "GEMINI_API_KEY=another\nVIDEO_SECONDS=6\nVIDEO_RESOLUTION=1080p\n"
    )
    live = load_live_api(BUDGET_USD, tmp_path)

    assert _key(live) == KEY
    assert live.models == "gemini-3.1-flash-image and veo-3.1-fast-generate-preview (8 s, 1080p)"


@pytest.mark.usefixtures("nothing")
def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(f"GEMINI_API_KEY={KEY}ü\n".encode("latin-1"))

    assert _fault(tmp_path) == (
        "--live cannot begin: .env cannot be read; make it readable, and save it as UTF-8."
    )


ANOTHER_SERVER = (
    "--live pays the provider itself: unset GOOGLE_GEMINI_BASE_URL, which names another."
)


def test_another_server_is_refused(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1")

    assert _fault(tmp_path) == ANOTHER_SERVER


@pytest.mark.usefixtures("environment")
def test_another_server_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:1\n")

    assert _fault(tmp_path) == ANOTHER_SERVER


@pytest.mark.parametrize("variable", ["GEMINI_IMAGE_MODEL", "GEMINI_VIDEO_MODEL"])
def test_a_model_without_a_price_is_refused(
    variable: str, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv(variable, "a-new-model")
    said = _fault(tmp_path)

    assert said.startswith("--live cannot begin: no price per ")
    assert "is known for the model 'a-new-model'" in said
    assert "Choose one of these, or add the price to workflows/pricing.py." in said


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://127.9.8.7", "http://[::1]:8000/v1"]
)
def test_an_address_of_this_machine_is_used(
    url: str, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv(LOOPBACK_VARIABLE, url)

    assert load_live_api(BUDGET_USD, tmp_path).worker_environment()["GOOGLE_GEMINI_BASE_URL"] == url


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://127.0.0.1@192.0.2.1",
        "http://127.0.0.1@localhost.example:8000",
        "http://10.0.0.1",
        "http://192.0.2.1",
        "http://0.0.0.0",
        "http://[::2]",
        "http://[::1",
        "127.0.0.1:8000",
        "loopback",
    ],
)
def test_any_other_address_is_refused(
    url: str, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv(LOOPBACK_VARIABLE, url)

    assert _fault(tmp_path) == "CHAOS_LIVE_LOOPBACK is for the suite's own tests: loopback only."


@pytest.mark.usefixtures("environment")
def test_a_file_cannot_name_an_address(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{LOOPBACK_VARIABLE}=http://127.0.0.1:8000\n")

    assert load_live_api(BUDGET_USD, tmp_path).loopback is None


def test_a_worker_gets_the_key_the_models_and_the_budget_and_no_more(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (
        "GOOGLE_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "TEMPORAL_API_KEY",
        "PAYMENT_JOURNAL_URL",
    ):
        environment.setenv(name, "the-users-own")
    environment.setenv("BUDGET_USD", "99")
    environment.setenv("VIDEO_SECONDS", "8")

    assert load_live_api(BUDGET_USD, tmp_path).worker_environment() == {
        "GEMINI_API_KEY": KEY,
        "GEMINI_IMAGE_MODEL": "gemini-3.1-flash-image",
        "GEMINI_VIDEO_MODEL": "veo-3.1-fast-generate-preview",
        "VIDEO_SECONDS": "8",
        "VIDEO_RESOLUTION": "720p",
        "VIDEO_POLL_SECONDS": "10.0",
        "IMAGE_DEADLINE_SECONDS": str(policies.IMAGE_DEADLINE_SECONDS),
        "VIDEO_START_DEADLINE_SECONDS": str(policies.VIDEO_START_DEADLINE_SECONDS),
        "IN_DOUBT_POLICY": "resend",
        "IN_DOUBT_RESENDS": "1",
        "BUDGET_USD": "15.00",
    }


@pytest.mark.parametrize("name", PASSED_ON)
def test_a_worker_gets_the_users_proxies_and_certificates(
    name: str, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv(name, PROXY)

    assert load_live_api(BUDGET_USD, tmp_path).worker_environment()[name] == PROXY


def test_no_secret_is_shown(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("PAYMENT_JOURNAL_URL", f"postgresql+psycopg://till:{KEY}@db.test/paid")
    live = load_live_api(BUDGET_USD, tmp_path)

    assert KEY not in f"{live} {live!r} {live.settings} {live.billing!r} {live.models}"


def test_the_prices_are_those_of_the_models(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("GEMINI_IMAGE_MODEL", "gemini-2.5-flash-image")
    environment.setenv("GEMINI_VIDEO_MODEL", "veo-3.1-generate-preview")
    environment.setenv("VIDEO_SECONDS", "6")

    assert load_live_api(BUDGET_USD, tmp_path).billing == Billing(
        mode=Mode.LIVE,
        prices_usd={Item.IMAGE: Decimal("0.039"), Item.VIDEO: Decimal("2.40")},
    )


def test_the_default_models_are_those_of_a_user_who_sets_none(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    live = load_live_api(BUDGET_USD, tmp_path)
    environment.setenv("GEMINI_VIDEO_MODEL", "veo-3.1-generate-preview")

    assert default_models() == (live.models, live.billing)
