"""The status page in a real browser: what it shows, what its buttons do, and what it never does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.integration.service.conftest import Serve, Served
from workflows.models import Choice, Decision

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(90),
]

EXPECT_MS = 15_000

TOKEN = "sesame-for-the-page"
DESKTOP, PHONE = (1180, 860), (360, 740)
NASTY = "<img src=x onerror=alert(1)>"


@dataclass
class Watched:
    """A page, and whatever it did that it should not."""

    page: Page
    origin: str
    said: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        """Note a complaint of the browser."""
        if message.type in {"error", "warning"}:
            self.said.append(message.text)

    def see(self, url: str) -> None:
        """Note a request to any other host."""
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != self.origin and parts.scheme != "data":
            self.strangers.append(url)

    async def shot(self, folder: Path, name: str) -> None:
        """Keep how it looks."""
        await self.page.screenshot(path=folder / f"{name}.png", full_page=True)


Open = Callable[..., AbstractAsyncContextManager[Watched]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def open_page(browser: Browser) -> Open:
    """Opens a page of a service; whatever it must not do fails the test at its end."""
    expect.set_options(timeout=EXPECT_MS)

    @asynccontextmanager
    async def opened(
        served: Served,
        path: str = "/",
        size: tuple[int, int] = DESKTOP,
        scheme: str = "light",
        excused: str | None = None,
    ) -> AsyncIterator[Watched]:
        context = await browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = await context.new_page()
        watched = Watched(page, served.api.url)
        page.on("console", watched.hear)
        page.on("pageerror", lambda error: watched.said.append(str(error)))
        page.on("request", lambda request: watched.see(request.url))
        try:
            await page.goto(f"{served.api.url}{path}")
            yield watched
        finally:
            await context.close()
        assert [text for text in watched.said if not (excused and excused in text)] == []
        assert watched.strangers == []

    return opened


async def test_operations_appear_move_and_end(
    served: Served, open_page: Open, tmp_path: Path
) -> None:
    spec = specs.single("page-moving")
    halt = await served.bench.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[0])
    async with open_page(served) as watched:
        await served.api.start(spec)
        operation = watched.page.get_by_role("article", name="Operation page-moving")
        await expect(operation).to_contain_text("Waiting for video")
        bar = operation.get_by_role("progressbar", name="Progress of page-moving")
        await expect(bar).to_have_js_property("value", 50)
        await watched.shot(tmp_path, "running")
        await halt.resume()
        await expect(operation).to_contain_text("Complete")
        await expect(bar).to_have_js_property("value", 100)
        await expect(operation).to_contain_text("$1.239")
        await operation.get_by_text("4 checkpoints · 2 files").click()
        await expect(operation).to_contain_text("page-moving/video-001.mp4")
        await watched.shot(tmp_path, "complete")


async def test_the_buttons_pause_resume_and_cancel(served: Served, open_page: Open) -> None:
    spec = specs.series("page-steered", videos=2)
    halt = await served.held_at_its_image(spec)
    async with open_page(served) as watched:
        operation = watched.page.get_by_role("article", name="Operation page-steered")
        await operation.get_by_role("button", name="Pause page-steered").click()
        await expect(watched.page.get_by_role("status")).to_contain_text("pause accepted")
        await expect(operation).to_contain_text("Paused")
        await operation.get_by_role("button", name="Resume page-steered").click()
        await expect(operation).not_to_contain_text("Paused")
        await operation.get_by_role("button", name="Cancel page-steered").click()
        await expect(watched.page.get_by_role("status")).to_contain_text("cancel accepted")
        await halt.resume()
        await expect(operation).to_contain_text("Canceled")
        await operation.get_by_role("button", name="Restart page-steered").click()
        await expect(operation).to_contain_text("Complete")
    assert await served.bench.billed(spec) == list(spec.prompts)


async def test_a_decision_is_made_by_keyboard_and_its_words_stay_words(
    served: Served, open_page: Open, tmp_path: Path
) -> None:
    spec = specs.single("page-undecided")
    rule = FaultRule(
        call=Call.VIDEO_START,
        kind=FaultKind.RESET,
        when=When.AFTER_BILLING,
        match=spec.video_prompts[0],
    )
    await served.bench.lab.api.add_rule(rule)
    await served.api.start(spec)
    async with open_page(served, excused="422") as watched:
        operation = watched.page.get_by_role("article", name="Operation page-undecided")
        await expect(operation).to_contain_text("Needs a decision")
        await expect(operation.get_by_role("list")).to_contain_text("may have been billed")
        decision = Decision(step=NASTY, choice=Choice.RESEND)
        await served.bench.handle(spec).signal("decide", decision)
        await expect(operation.get_by_role("list")).to_contain_text(NASTY)
        assert await watched.page.locator("img").count() == 0
        name = operation.get_by_label("name for the video")
        await name.fill("not a name")
        await operation.get_by_role("button", name="video-001: it was made").press("Enter")
        said = watched.page.get_by_role("status")
        await expect(said).to_contain_text(
            "providerOperation must be such as models/MODEL/operations/ID."
        )
        # What was typed outlives the list's next answers.
        await expect(name).to_have_value("not a name")
        await watched.shot(tmp_path, "undecided")
        await name.fill(await served.bench.provider_operation(spec.video_prompts[0]))
        await operation.get_by_role("button", name="video-001: it was made").press("Enter")
        await expect(operation).to_contain_text("Complete")
    assert await served.bench.billed(spec) == list(spec.prompts)


async def test_an_operation_is_started_by_the_form_and_its_words_stay_words(
    served: Served, open_page: Open, tmp_path: Path
) -> None:
    rule = FaultRule(
        call=Call.IMAGE,
        kind=FaultKind.STATUS,
        status=400,
        match=NASTY,
        body={"error": {"code": 400, "message": NASTY, "status": "INVALID_ARGUMENT"}},
    )
    await served.bench.lab.api.add_rule(rule)
    async with open_page(served, excused="422") as watched:
        page = watched.page
        await page.get_by_role("button", name="New operation").click()
        form = page.get_by_role("dialog", name="New operation")
        await form.get_by_role("button", name="Start").click()
        await expect(form.get_by_role("alert")).to_contain_text(
            "config.characterPrompt is empty. config.videoPrompt is empty."
        )
        await form.get_by_label("Series").check()
        await form.get_by_label("Character").fill(NASTY)
        await form.get_by_label("Videos, one on each line").fill(f"{NASTY}\n\nit waves\n")
        await form.get_by_role("textbox", name="Id optional").fill("page-nasty")
        await watched.shot(tmp_path, "form")
        await form.get_by_role("button", name="Start").click()
        operation = page.get_by_role("article", name="Operation page-nasty")
        await expect(operation).to_contain_text("series of 2")
        await expect(operation).to_contain_text("Failed")
        await expect(operation.get_by_role("list")).to_contain_text("(HTTP 400)")
        assert await page.locator("img").count() == 0


async def test_the_token_is_asked_for_and_kept_in_this_tab_only(
    served: Served, serve: Serve, open_page: Open, tmp_path: Path
) -> None:
    async with (
        serve(served.bench, "service-locked", SERVICE_TOKEN=TOKEN) as locked,
        open_page(locked, excused="401") as watched,
    ):
        page = watched.page
        dialog = page.get_by_role("dialog", name="A token is needed")
        await dialog.get_by_label("Token").fill("a wrong one")
        await dialog.get_by_role("button", name="Continue").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("not the right one")
        await watched.shot(tmp_path, "token")
        await dialog.get_by_label("Token").fill(TOKEN)
        await dialog.get_by_label("Token").press("Enter")
        await expect(page.get_by_text("live", exact=True)).to_be_visible()
        await expect(dialog).to_be_hidden()
        assert await page.evaluate("localStorage.length") == 0
        await page.reload()
        await expect(page.get_by_text("live", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Forget token").click()
        await expect(dialog).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_phone_needs_no_sideways_scrolling(
    served: Served, open_page: Open, tmp_path: Path, scheme: str
) -> None:
    spec = specs.single("page-" + "long-name-" * 18)
    await served.api.start(spec)
    await served.api.ended(spec)
    async with open_page(served, size=PHONE, scheme=scheme) as watched:
        operation = watched.page.get_by_role("article", name=f"Operation {spec.workflow_id}")
        await operation.get_by_text("4 checkpoints · 2 files").click()
        await expect(operation).to_contain_text("video generated")
        await watched.shot(tmp_path, f"phone-{scheme}")
        assert await watched.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


async def test_it_says_that_the_service_is_away_and_comes_back(
    served: Served, serve: Serve, open_page: Open, tmp_path: Path
) -> None:
    async with (
        serve(served.bench, "service-leaving") as leaving,
        # The browser itself tells its console of a refused connection.
        open_page(leaving, excused="ERR_CONNECTION_REFUSED") as watched,
    ):
        page = watched.page
        await expect(page.get_by_text("live", exact=True)).to_be_visible()
        await leaving.child.terminate()
        await expect(page.locator("#banner")).to_contain_text(
            "The service does not answer. Trying again in"
        )
        await watched.shot(tmp_path, "away")
        leaving.child.start()
        await expect(page.get_by_text("live", exact=True)).to_be_visible(timeout=20_000)
        await expect(page.locator("#banner")).to_be_hidden()


async def test_the_description_is_shown_without_another_host(
    served: Served, open_page: Open, tmp_path: Path
) -> None:
    async with open_page(served, "/docs") as watched:
        await expect(watched.page.locator(".opblock")).to_have_count(10)
        start = watched.page.locator("#operations-operations-start_api_template_workflow_post")
        await start.locator(".opblock-summary-control").click()
        await expect(start).to_contain_text("Idempotency-Key", ignore_case=True)
        await watched.shot(tmp_path, "docs")
