"""The video system as `python -m chaos up` starts it: slow enough to watch, with its service."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace

from chaos.environment.target import PORT, Placement, Service, Up
from tests.chaos.video.target import API, PROJECT, VIDEO, payment_journal_url, settings

_PACE = ("--image-seconds", "2", "--video-start-seconds", "0.5", "--video-seconds", "6")
"""How long the fake API takes: long enough to be watched, and to break something meanwhile."""

_HINTS = """\
Status page: http://{service}, HTTP API: http://{service}/docs
Start a video, which takes some seconds, and look at it:
  curl http://{service}/api/template-workflow \\
    -H 'Content-Type: application/json' -d '{"templateType": "single",
    "operationId": "my-video", "config": {"characterPrompt": "a fox in a raincoat",
    "videoPrompt": "it jumps over a puddle"}}'
  curl http://{service}/api/status/my-video
Kill a worker meanwhile; its supervisor starts another:
  kill -9 {pid}"""


def _settings(place: Placement) -> Mapping[str, str]:
    """What was paid for is kept beside the artifacts, where a second `up` looks for it."""
    return {**settings(place), "PAYMENT_JOURNAL_URL": payment_journal_url(place.evidence)}


def by_hand() -> Up:
    """Its HTTP service needs no API key, and gets none."""
    services = tuple(
        replace(service, argv=(*service.argv, *_PACE)) if service.name == API else service
        for service in VIDEO.services
    )
    return Up(
        target=replace(VIDEO, services=services, settings=_settings),
        fronts=(
            Service(
                name="service",
                argv=(
                    *(sys.executable, "-m", "workflows.service"),
                    *("--host", "127.0.0.1", "--port", PORT),
                ),
                settings={"PYTHONPATH": str(PROJECT)},
            ),
        ),
        hints=_HINTS,
    )
