"""The control routes."""

import httpx
import pytest
from google.genai.client import AsyncClient

from tests.chaos.video.fake_api.bills import Call, read_bills
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.chaos.video.fake_api.settings import LatencyChange
from tests.integration.video.calls import make_image, rendered_video
from tests.integration.video.stand_in import KEY, Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestControl:
    async def test_latencies_change_one_by_one(self, service: Service) -> None:
        before = await service.control.set_latencies(LatencyChange())
        after = await service.control.set_latencies(LatencyChange(poll_seconds=0.25))
        assert after == before.model_copy(update={"poll_seconds": 0.25})
        assert await service.control.set_latencies(LatencyChange()) == after

    async def test_the_bills_over_http_is_the_file(
        self, service: Service, google: AsyncClient
    ) -> None:
        await rendered_video(google)
        assert await service.control.records() == read_bills(service.process.bills_path)

    async def test_the_key_stands_nowhere(self, own: Service, own_google: AsyncClient) -> None:
        await rendered_video(own_google)
        await own.control.add_rule(FaultRule(call=Call.IMAGE, kind=FaultKind.RESET))
        with pytest.raises(httpx.ReadError):
            await make_image(own_google)
        assert own.process.end() == 0
        written = (own.process.bills_path, own.process.stdout_path, own.process.stderr_path)
        assert [KEY in path.read_text() for path in written] == [False] * 3
        assert [path.read_text() for path in written[1:]] == ["", ""]
