"""The report of a run in a real browser: it asks for nothing, and can be read everywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from chaos.report.html import write_html
from tests.unit.chaos.report.html.runs import CRASH, LOAD, RETRY, a_run, failed, measure
from tests.unit.chaos.report.html.runs import PASSED as HOLDS

pytestmark = [pytest.mark.nightly, pytest.mark.sample, pytest.mark.asyncio(loop_scope="session")]

DESKTOP, PHONE = (1280, 900), (375, 812)
NASTY = "<img src=x onerror=alert(1)>"

Scheme = Literal["light", "dark"]
Open = Callable[..., AbstractAsyncContextManager[Page]]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which one scenario failed."""
    folder = tmp_path_factory.mktemp("reports") / "run"
    log = f"2026-11-24 15:21:16,600 ERROR it broke {NASTY}\n"
    cases = {CRASH: failed("it_holds", f"it does not {NASTY}"), RETRY: HOLDS, LOAD: HOLDS}
    a_run(folder, cases, logs={"worker-1.log": log})
    measure(folder / "worker_crash" / "sigkill_twice", NASTY)
    return write_html(folder)


@pytest.fixture(scope="module")
def open_report(browser: Browser, report: Path) -> Open:
    """Opens the report; a complaint of the browser or a request fails the test at its end."""

    @asynccontextmanager
    async def opened(
        size: tuple[int, int] = DESKTOP, scheme: Scheme = "light", place: str = "", **given: bool
    ) -> AsyncIterator[Page]:
        context = await browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            reduced_motion="reduce",
            java_script_enabled=given.get("scripts", True),
        )
        page = await context.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        try:
            await page.goto(f"{report.as_uri()}{place}")
            yield page
        finally:
            await context.close()
        assert said == []
        assert [url for url in asked if not url.startswith(("data:", report.as_uri()))] == []

    return opened


async def _sideways_px(page: Page) -> int:
    """How much wider the page is than its window."""
    wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return int(wider)


async def _open_everything(page: Page) -> None:
    await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_nothing_is_wider_than_the_window(
    open_report: Open, size: tuple[int, int], scheme: Scheme
) -> None:
    async with open_report(size, scheme) as page:
        await _open_everything(page)

        assert await _sideways_px(page) <= 0
        await page.evaluate(
            "document.querySelector('main').insertAdjacentHTML('beforeend',"
            "'<p style=\"width: 1500px\">wide</p>')"
        )
        assert await _sideways_px(page) > 0


async def test_the_first_screen_says_what_broke_and_how_to_run_it_again(open_report: Open) -> None:
    async with open_report() as page:
        trouble = page.get_by_role("article", name="1. Worker Crash Recovery")

        await expect(page.get_by_role("heading", level=1)).to_have_text("✕ 1 of 3 scenarios failed")
        for text in (
            f"it does not {NASTY}",
            "kill at worker-1",
            "python -m chaos run worker_crash",
        ):
            await expect(trouble.get_by_text(text)).to_be_in_viewport()


async def test_light_and_dark_differ(open_report: Open) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        async with open_report(scheme=scheme) as page:
            ground = "getComputedStyle(document.body).backgroundColor"
            grounds.add(await page.evaluate(ground))

    assert len(grounds) == 2


async def test_foldings_open_by_keyboard(open_report: Open) -> None:
    async with open_report() as page:
        folded = page.locator("#at-retry_config")
        await expect(folded).not_to_have_attribute("open", "")
        await folded.locator("summary").first.focus()
        await page.keyboard.press("Enter")

        await expect(folded.get_by_role("group", name="Timeline of").first).to_be_visible()


async def test_the_content_can_be_reached_at_once_by_keyboard(open_report: Open) -> None:
    async with open_report() as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
        await page.keyboard.press("Enter")

        await expect(page.get_by_role("main")).to_be_focused()


async def test_a_link_opens_what_it_leads_to(open_report: Open) -> None:
    async with open_report() as page:
        await page.get_by_role("link", name="2. Retry Configuration").click()

        await expect(page.locator("#at-retry_config")).to_have_attribute("open", "")
        await expect(page.locator("#at-retry_config > summary")).to_be_in_viewport()
    async with open_report(place="#at-concurrency-one_worker") as page:
        await expect(page.locator("#at-concurrency")).to_have_attribute("open", "")


async def test_n_and_p_go_from_trouble_to_trouble(open_report: Open) -> None:
    async with open_report() as page:
        await page.keyboard.press("n")
        card = page.get_by_role("article", name="1. Worker Crash Recovery")
        await expect(card).to_be_focused()
        await page.keyboard.press("n")
        await expect(page.locator("#at-worker_crash > summary")).to_be_focused()
        await page.keyboard.press("p")
        await expect(card).to_be_focused()


async def test_a_drawing_tells_its_events_one_by_one(open_report: Open) -> None:
    async with open_report() as page:
        chart = page.locator("#at-worker_crash").get_by_role("group", name="Timeline of")
        tip = page.locator(".tip")
        await expect(tip).to_be_hidden()
        await chart.focus()
        told: list[str] = []
        for _ in range(4):
            await page.keyboard.press("ArrowRight")
            await expect(tip).not_to_have_text(told[-1] if told else "")
            told.append(await tip.text_content() or "")
        await expect(tip).to_be_in_viewport()
        await page.keyboard.press("ArrowLeft")

        assert len(set(told)) == 4
        await expect(tip).to_have_text(told[2])
        await page.keyboard.press("Escape")
        await expect(tip).to_be_hidden()
        await chart.locator("[data-told^='fault: kill at worker-1']").hover()
        await expect(tip).to_contain_text("fault: kill at worker-1")


async def test_a_command_can_be_copied(open_report: Open) -> None:
    async with open_report() as page:
        button = page.get_by_role("button", name="Copy: python -m chaos run worker_crash").first
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await button.click()

        await expect(button).to_have_text("Copied")
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied == "python -m chaos run worker_crash"


async def test_in_print_all_is_open_and_light(open_report: Open) -> None:
    async with open_report((720, 900), "dark") as page:
        folded = page.locator("#at-retry_config .checks").first
        await expect(folded).to_be_hidden()
        await page.emulate_media(media="print")

        assert await folded.evaluate("(e) => e.getBoundingClientRect().height") > 0
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        assert await _sideways_px(page) <= 0


async def test_without_scripts_it_can_be_read(open_report: Open) -> None:
    async with open_report(scripts=False) as page:
        await expect(page.get_by_role("heading", name="What broke")).to_be_visible()
        await expect(page.locator(".copy").first).to_be_hidden()
        await page.locator("#at-retry_config > summary").click()
        await expect(page.locator("#at-retry_config .plot")).to_be_visible()


async def test_everything_has_a_name_for_who_cannot_see_it(open_report: Open) -> None:
    async with open_report() as page:
        await _open_everything(page)
        nameless = await page.evaluate(
            """() => [...document.querySelectorAll('svg, [role=group], [role=region], button')]
            .filter((e) => e.getAttribute('aria-hidden') !== 'true')
            .filter((e) => !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby')
              && !e.textContent.trim())
            .map((e) => e.outerHTML.slice(0, 80))"""
        )

        assert nameless == []
        assert await page.locator("svg.plot").count() == 3
        await expect(page.locator("th:not([scope])")).to_have_count(0)
        await expect(page.locator("th[scope]")).not_to_have_count(0)
        await expect(page.get_by_role("main")).to_have_count(1)
        await expect(page.get_by_role("heading", level=1)).to_have_count(1)
