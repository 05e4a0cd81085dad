"""The documentation site is built without a warning, and loads nothing from another host."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

PROJECT = Path(__file__).parents[2]
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, for the tool writes beside its settings."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(PROJECT / "zensical.toml", folder)
    shutil.copytree(PROJECT / "docs", folder / "docs")
    (folder / "chaos").symlink_to(PROJECT / "chaos")
    built = subprocess.run(
        [Path(sys.executable).parent / "zensical", "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


class _Assets(HTMLParser):
    """Collects what a page loads by itself; a link that somebody may follow is none."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and given.get("rel") not in {"canonical", "next", "prev"}:
            self.found.append(given.get("href", ""))
        if tag in {"script", "img", "iframe", "source", "video"}:
            self.found.append(given.get("src", ""))


def _assets(site: Path) -> Iterator[str]:
    for page in site.rglob("*.html"):
        parser = _Assets()
        parser.feed(page.read_text())
        yield from parser.found
    for style in site.rglob("*.css"):
        yield from re.findall(r"url\(['\"]?([^)'\"]+)", style.read_text())


def test_every_page_is_built_and_loads_what_lies_beside_it(site: Path) -> None:
    assets = list(_assets(site))
    pages = {
        page.relative_to(PROJECT / "docs").with_suffix("")
        for page in (PROJECT / "docs").rglob("*.md")
    }

    assert {page.relative_to(site).with_suffix("") for page in site.rglob("*.html")} >= pages
    assert any(asset.endswith(".js") for asset in assets)
    assert [asset for asset in assets if re.match(r"(https?:)?//", asset)] == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; without it these tests are skipped."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium here")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])


@pytest.mark.nightly
@pytest.mark.sample
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("page", ["index", "tutorial", "compared", "api/scenarios"])
def test_a_page_fits_and_asks_no_other_host(
    page: str, size: dict[str, int], scheme: str, site: Path, browser: Browser
) -> None:
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]  # its TypedDict and Literal
    tab = context.new_page()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((site / f"{page}.html").as_uri())

    assert [url for url in asked if url.startswith(("http:", "https:", "ws"))] == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert tab.evaluate("document.body.dataset.mdColorScheme") == (
        "slate" if scheme == "dark" else "default"
    )
    context.close()
