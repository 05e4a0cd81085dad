"""SVG that fits into a page beside others, on white and on black."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from benchmarks import plots
from benchmarks.figures import seconds
from benchmarks.restart import ANSWERS, KILLED, UNDISTURBED, plot
from tests.unit.benchmarks.reports import restarts


@pytest.fixture(scope="module")
def svg() -> str:
    return plots.svg(plot(restarts(0.7, 0.9)), "restart")


def test_it_is_whole_xml_without_a_prologue(svg: str) -> None:
    assert svg.startswith("<svg")
    assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 - made here


def test_its_labels_are_text(svg: str) -> None:
    root = ET.fromstring(svg)  # noqa: S314 - made here
    texts = {"".join(element.itertext()).strip() for element in root.iter()}

    assert {ANSWERS, KILLED, UNDISTURBED} <= texts
    assert any(text.startswith("seconds") for text in texts)


def test_its_ink_is_that_of_the_page(svg: str) -> None:
    assert "currentColor" in svg
    assert "#123456" not in svg
    assert "#000000" not in svg


def test_two_on_one_page_share_no_id() -> None:
    found = restarts(0.7)
    first, second = (plots.svg(plot(found), name) for name in ("one", "two"))

    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_what_it_refers_to_is_its_own(svg: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', svg))
    used = set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg))

    assert used
    assert used <= ids


def test_an_interval_shows_every_value_and_the_median() -> None:
    _, (axes,) = plots.styled(4, 2)

    plots.interval(axes, 1, seconds(1.0, 2.0, 9.0), 0, "kills")

    extent, dots, middle = (np.asarray(line.get_xdata()).tolist() for line in axes.lines)
    assert (extent, dots, middle) == ([1.0, 9.0], [1.0, 2.0, 9.0], [2.0])


def test_a_line_has_bars_from_the_least_to_the_most() -> None:
    _, (axes,) = plots.styled(4, 2)

    plots.line(axes, [5], [seconds(1.0, 2.0, 9.0)], 0, "wall")

    (bars,) = (c for c in axes.collections if isinstance(c, LineCollection))
    ((low, high),) = (segment[:, 1] for segment in bars.get_segments())
    assert (low, high) == (1.0, 9.0)
