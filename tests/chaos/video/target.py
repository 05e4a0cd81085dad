"""The video system as a target: its workers and their supervisor, and the fake API."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from chaos.environment.metrics import Metrics
from chaos.environment.needs import Need
from chaos.environment.target import EVIDENCE, PORT, SCRATCH, SECRET, Placement, Service, Target, Up
from chaos.environment.versions import Version, Versions
from chaos.evidence.bills import SuiteEstimate
from chaos.evidence.case import Timings
from tests.chaos.video import drawing
from tests.chaos.video.evidence import VideoEvidence, bills, paid_requests, refusals
from tests.chaos.video.fake_api.bills import Item
from tests.chaos.video.fake_api.rules import IN_A_LINE
from tests.chaos.video.fake_api.settings import KEY_VARIABLE
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import SLOTS, series, single
from workflows import policies
from workflows.payments.identity import sqlite_url
from workflows.pricing import (
    REFERENCE_IMAGE_MODEL,
    REFERENCE_VIDEO_MODEL,
    image_cost_usd,
    video_cost_usd,
)

PROJECT = Path(__file__).parents[3]
API = "api"
"""The fake API's name, and that of a link to it."""

PAID_DEADLINE_SECONDS = "10"
"""Of a paid request. With the payment journal's grace, shorter than heartbeat and retry together:
a call that was cut off can be settled as soon as its activity is tried again.
"""

REFERENCE_VIDEO_SECONDS = 4
PRICES_USD = {
    str(Item.IMAGE): image_cost_usd(REFERENCE_IMAGE_MODEL),
    str(Item.VIDEO): video_cost_usd(REFERENCE_VIDEO_MODEL, REFERENCE_VIDEO_SECONDS),
}
"""The fake API's prices: those of the reference runs."""

TIMINGS = Timings(
    heartbeat_interval_seconds=policies.HEARTBEAT_INTERVAL.total_seconds(),
    sticky_queue_seconds=policies.STICKY_QUEUE_TIMEOUT.total_seconds(),
    keepalive_seconds=(policies.KEEPALIVE_INTERVAL + policies.KEEPALIVE_TIMEOUT).total_seconds(),
    call_seconds={
        "generate_character": policies.IMAGE_DEADLINE_SECONDS,
        "start_video": policies.VIDEO_START_DEADLINE_SECONDS,
        "await_video": policies.POLL_DEADLINE_SECONDS,
        "download_video": policies.DOWNLOAD_DEADLINE_SECONDS,
    },
)


_ANOTHER_BUILD = (sys.executable, "-m", "tests.chaos.video.versions")


def payment_journal_url(folder: Path) -> str:
    """The workers' record of paid calls, in a folder."""
    return sqlite_url(folder / "paid.db").render_as_string(hide_password=False)


def kept(place: Placement) -> dict[str, str]:
    """What the workers need to be found, and to keep what they paid for."""
    return {
        "PYTHONPATH": str(PROJECT),
        "ARTIFACTS_DIR": str(place.evidence / "artifacts"),
        "PAY_WHILE_LOCKED": place.run_tag,
    }


def settings(place: Placement) -> Mapping[str, str]:
    """Of a worker that pays the fake API."""
    return {
        **kept(place),
        "PAYMENT_JOURNAL_URL": payment_journal_url(place.scratch),
        "GEMINI_API_KEY": place.secret,
        "GEMINI_IMAGE_MODEL": REFERENCE_IMAGE_MODEL,
        "GEMINI_VIDEO_MODEL": REFERENCE_VIDEO_MODEL,
        "VIDEO_POLL_SECONDS": "0.2",
        "IMAGE_DEADLINE_SECONDS": PAID_DEADLINE_SECONDS,
        "VIDEO_START_DEADLINE_SECONDS": PAID_DEADLINE_SECONDS,
    }


def _scenarios() -> list[object]:
    from tests.chaos.video.scenarios.catalogue import all_scenarios  # noqa: PLC0415 - they name it

    return list(all_scenarios())


def _estimates() -> tuple[SuiteEstimate, ...]:
    from tests.chaos.video.estimate import estimates  # noqa: PLC0415 - for the same reason

    return estimates()


def _needs(folder: Path) -> Iterable[Need]:
    from tests.chaos.video.machine import needs  # noqa: PLC0415 - for the same reason

    return needs(folder)


def _up() -> Up:
    from tests.chaos.video.by_hand import by_hand  # noqa: PLC0415 - for the same reason

    return by_hand()


VIDEO = Target(
    worker=(sys.executable, "-m", "workflows.worker"),
    task_queue=policies.TASK_QUEUE,
    # Not the project: its `.env` is the user's own, with a key, a budget and real alerts.
    cwd=SCRATCH,
    settings=settings,
    services=(
        Service(
            name=API,
            argv=(
                *(sys.executable, "-m", "tests.chaos.video.fake_api"),
                *("--port", PORT, "--bills", f"{EVIDENCE}/ledger.jsonl"),
            ),
            variable="GOOGLE_GEMINI_BASE_URL",
            settings={KEY_VARIABLE: SECRET, "PYTHONPATH": str(PROJECT)},
        ),
    ),
    supervisor=(sys.executable, "-m", "workflows.fleet"),
    preload=("workflows.preload", "tests.chaos.video.fake_api.__main__"),
    timings=TIMINGS,
    prices_usd=PRICES_USD,
    bills=bills,
    paid_requests=paid_requests,
    refusals=refusals,
    specs={
        "single": single,
        "series": lambda workflow_id: series(workflow_id, 2),
        "long_series": lambda workflow_id: series(workflow_id, 3),
    },
    former_specs=drawing.FORMER_SPECS,
    invariants=drawing.INVARIANTS,
    versions=Versions(
        # What runs in production today, to be replaced by the next release.
        old=Version(build_id="1.0"),
        new=Version(argv=(*_ANOTHER_BUILD, "new"), build_id="1.1"),
        broken=Version(argv=(*_ANOTHER_BUILD, "broken"), build_id="1.1-unpatched"),
        deployment="video",
        invariants=drawing.DEPLOYED,
    ),
    draws={"api": drawing.draw_answer},
    drawn=drawing.DRAWN,
    explored=drawing.EXPLORED,
    resubmissions=drawing.RESUBMISSIONS,
    is_paid=drawing.is_paid,
    scenarios=_scenarios,
    evidence=VideoEvidence,
    lab=VideoLab,
    slots=SLOTS,
    estimates=_estimates,
    packages=("google-genai",),
    metrics=Metrics("METRICS_ADDRESS", is_counted=True),
    needs=_needs,
    up=_up,
    listed={"rules of bad_api": {str(kind): what for kind, what in IN_A_LINE.items()}},
)
"""Against the fake API."""
