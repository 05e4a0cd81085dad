"""How long the stand-in takes and what it charges."""

from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from tests.chaos.video.fake_api.bills import Usd
from tests.chaos.video.fake_api.rules import Seconds

KEY_VARIABLE = "FAKE_API_KEY"
"""The environment variable that holds the valid API key."""


class Latencies(BaseModel):
    """Seconds each kind of work takes. `video_seconds` is the rendering, start to done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_seconds: Seconds = 0.05
    video_start_seconds: Seconds = 0.02
    video_seconds: Seconds = 0.3
    poll_seconds: Seconds = 0
    download_seconds: Seconds = 0


class LatencyChange(BaseModel):
    """A partial update: None leaves a latency as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_seconds: Seconds | None = None
    video_start_seconds: Seconds | None = None
    video_seconds: Seconds | None = None
    poll_seconds: Seconds | None = None
    download_seconds: Seconds | None = None

    def apply(self, latencies: Latencies) -> Latencies:
        """`latencies` with this change made."""
        return latencies.model_copy(update=self.model_dump(exclude_none=True))


class Prices(BaseModel):
    """US dollars for each item delivered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_usd: Usd = Decimal("0.039")
    video_usd: Usd = Decimal("1.20")


class Setup(BaseModel):
    """Everything a stand-in is started with."""

    model_config = ConfigDict(frozen=True)

    bills_path: Path
    key: SecretStr
    latencies: Latencies
    prices: Prices
