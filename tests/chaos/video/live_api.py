"""The real, paid API: what its workers are told, and what must be right before they are."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import SecretStr

from chaos.environment.target import Live, Placement, Target
from chaos.evidence.bills import Billing, Mode, SuiteEstimate
from chaos.experiment.runner import RunError
from tests.chaos.video.fake_api.bills import Item
from tests.chaos.video.target import VIDEO, kept, payment_journal_url
from workflows.payments.journal import JournalError, PaymentJournal
from workflows.policies import JOURNAL_GRACE_SECONDS
from workflows.settings import Settings, SettingsError, load_settings

LOOPBACK_VARIABLE = "CHAOS_LIVE_LOOPBACK"
"""The suite's own tests set it to show the live path against the fake API; loopback only."""

_PASSED_ON = (
    *("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)


class LiveError(Exception):
    """A live run cannot begin. One sentence: what is wrong and what to do."""


@dataclass(frozen=True)
class LiveApi:
    """The settings that a user has for the paid API, and the run's budget in USD."""

    settings: Settings
    budget_usd: Decimal
    loopback: str | None = None

    @property
    def key(self) -> SecretStr:
        """The user's own key."""
        return self.settings.gemini_api_key

    @property
    def billing(self) -> Billing:
        """At the prices of the models that are set."""
        return Billing(
            mode=Mode.LIVE,
            prices_usd={
                str(Item.IMAGE): self.settings.image_cost_usd(),
                str(Item.VIDEO): self.settings.video_cost_usd(),
            },
        )

    @property
    def models(self) -> str:
        """For people: which models, how long and how large."""
        known = self.settings
        return (
            f"{known.gemini_image_model} and {known.gemini_video_model} "
            f"({known.video_seconds} s, {known.video_resolution})"
        )

    def worker_environment(self) -> dict[str, str]:
        """What a worker needs to pay: the key, the models and the budget."""
        known = self.settings
        return {
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            **({"GOOGLE_GEMINI_BASE_URL": self.loopback} if self.loopback else {}),
            "GEMINI_API_KEY": self.key.get_secret_value(),
            "GEMINI_IMAGE_MODEL": known.gemini_image_model,
            "GEMINI_VIDEO_MODEL": known.gemini_video_model,
            "VIDEO_SECONDS": str(known.video_seconds),
            "VIDEO_RESOLUTION": known.video_resolution,
            "VIDEO_POLL_SECONDS": str(known.video_poll_seconds),
            "IMAGE_DEADLINE_SECONDS": str(known.image_deadline_seconds),
            "VIDEO_START_DEADLINE_SECONDS": str(known.video_start_deadline_seconds),
            # What the scenarios count on: nobody sits beside a run to decide.
            "IN_DOUBT_POLICY": "resend",
            "IN_DOUBT_RESENDS": "1",
            "BUDGET_USD": str(self.budget_usd),
        }


def load_live_api(budget_usd: Decimal, folder: Path) -> LiveApi:
    """Read the user's settings, from the environment and `.env` in `folder`. Raises LiveError."""
    known = {**_known(_read(folder / ".env")), **_known(os.environ)}
    if not known.get("gemini_api_key"):
        raise LiveError("--live needs a key: put GEMINI_API_KEY into the environment or into .env.")
    if known.get("google_gemini_base_url"):
        raise LiveError(
            "--live pays the provider itself: unset GOOGLE_GEMINI_BASE_URL, which names another."
        )
    try:
        settings = load_settings(**known)
    except SettingsError as error:
        raise LiveError(f"--live cannot begin: {error}") from None
    return LiveApi(settings, budget_usd, _loopback())


def default_models() -> tuple[str, Billing]:
    """The models that are used unless a user sets others, in words, and their prices."""
    nobody = LiveApi(Settings.model_construct(gemini_api_key=SecretStr("")), Decimal(0))
    return nobody.models, nobody.billing


def _read(file: Path) -> Mapping[str, str | None]:
    try:
        return dotenv_values(file)
    except (OSError, UnicodeDecodeError):
        raise LiveError(
            f"--live cannot begin: {file.name} cannot be read; "
            "make it readable, and save it as UTF-8."
        ) from None


def _known(values: Mapping[str, str | None]) -> dict[str, str]:
    fields = Settings.model_fields
    return {
        name.lower(): value for name, value in values.items() if value and name.lower() in fields
    }


def _loopback() -> str | None:
    url = os.environ.get(LOOPBACK_VARIABLE)
    if not url:
        return None
    if not is_loopback(url):
        raise LiveError(f"{LOOPBACK_VARIABLE} is for the suite's own tests: loopback only.")
    return url


def is_loopback(url: str) -> bool:
    """Whether a URL's host is an address of this machine's loopback range."""
    try:
        return ipaddress.ip_address(urlsplit(url).hostname or "").is_loopback
    except ValueError:
        return False


def live_target(api: LiveApi) -> Target:
    """The video system with the real API in place of the fake one."""

    def settings(place: Placement) -> Mapping[str, str]:
        # What was paid for must outlive whatever becomes of the run.
        return {
            **kept(place),
            **api.worker_environment(),
            "PAYMENT_JOURNAL_URL": payment_journal_url(place.run_folder),
        }

    return replace(
        VIDEO,
        services=(),
        settings=settings,
        prices_usd=api.billing.prices_usd,
        live=Live(api.budget_usd, (api.key.get_secret_value(),), paid_usd),
        estimates=partial(_estimates, api),
    )


def paid_usd(run: Path) -> Decimal | None:
    """What a live run's calls may have cost; None where no worker came to make the record of them.

    Raises RunError where it cannot be read.
    """
    file = run / "paid.db"
    if not file.exists():
        return None
    try:
        with closing(
            PaymentJournal.open(payment_journal_url(run), grace_seconds=JOURNAL_GRACE_SECONDS)
        ) as journal:
            return journal.billable_usd()
    except JournalError as error:
        raise RunError(f"what this run has paid is not known: {error} ({file})") from None


def _estimates(api: LiveApi) -> tuple[SuiteEstimate, ...]:
    from tests.chaos.video.estimate import estimates  # noqa: PLC0415 - it needs the scenarios

    return estimates(api)
