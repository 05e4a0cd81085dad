"""What the programs write: nothing that is not so."""

from __future__ import annotations

import pytest

from workflows.entry import set_up_logging
from workflows.gemini import Gemini
from workflows.settings import load_settings


async def test_the_client_does_not_claim_to_use_a_key_that_it_does_not_use(
    clean_environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clean_environment.setenv("GEMINI_API_KEY", "the-one-that-is-used")
    clean_environment.setenv("GOOGLE_API_KEY", "another")
    set_up_logging()

    async with Gemini(load_settings()):
        pass

    assert not caplog.records
