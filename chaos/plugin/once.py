"""A run of scenarios happens once, in the process of pytest itself.

Other plugins of pytest's repeat tests, or share them out among processes. Those that are known are
refused before anything is started or paid for; the others are caught when a test asks: `Answers`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

_WORKER = (
    "pytest-xdist would run all scenarios in each of its processes, and scenarios run side by "
    "side anyway: remove -n and --dist, or add -n 0."
)
_RERUN = (
    "a scenario runs once per run, so a rerun of its test would run nothing: remove --reruns and "
    "--retries, or mark the test flaky(reruns=0)."
)
_FORKED = (
    "pytest-forked would wait for the scenarios in processes that do not run them: remove --forked."
)
_REFUSAL = "chaos_refusal"
"""The attribute of a report of a worker of pytest-xdist that has the sentence."""


def require_one_run(config: pytest.Config, tests: Sequence[pytest.Item]) -> None:
    """Refuse what would run these tests of scenarios elsewhere or again. Raises UsageError.

    In a worker of pytest-xdist its controller is told, which then raises it for all of them.
    """
    if tests and is_worker(config):
        report = pytest.CollectReport("", "failed", longrepr=_WORKER, result=None)
        setattr(report, _REFUSAL, _WORKER)
        config.hook.pytest_collectreport(report=report)
    elif any(_is_rerun(test) for test in tests):
        raise pytest.UsageError(_RERUN)
    elif any(_is_forked(test) for test in tests):
        raise pytest.UsageError(_FORKED)


def will_ask(test: pytest.Item) -> bool:
    """Whether a test will run: nothing is to be run, or paid for, that is reported as skipped.

    Of a condition that is a text nobody but pytest knows the value.
    """
    skips = [
        condition
        for mark in test.iter_markers("skipif")
        for condition in (*mark.args, mark.kwargs.get("condition"))
        if not isinstance(condition, str)
    ]
    return not (test.get_closest_marker("skip") or any(skips))


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of pytest-xdist."""
    return hasattr(config, "workerinput")


class Controller:
    """Hears in the process that the user has called what the workers of pytest-xdist refuse.

    It alone has not collected, and they begin with no test before all of them have.
    """

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Raises UsageError."""
        if sentence := getattr(report, _REFUSAL, None):
            raise pytest.UsageError(sentence)


class Answers:
    """Which tests have been told how their scenario ended: each is, once, in this process."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._given: set[str] = set()

    def why_none(self, name: str) -> str | None:
        """Why there is no answer for a scenario; None the first time, and here."""
        if os.getpid() != self._pid:
            return f"{name} runs in another process than its test, which cannot wait for it."
        if name in self._given:
            return f"{name} has run once, and this repetition of its test ran nothing."
        self._given.add(name)
        return None


def _is_rerun(test: pytest.Item) -> bool:
    forced = _setting(test.config, "force_reruns")
    mark = test.get_closest_marker("flaky")
    if forced is None and mark:
        return _count(mark) != 0
    return any(_setting(test.config, name) for name in ("force_reruns", "reruns", "retries"))


def _count(mark: pytest.Mark) -> object:
    """How often a test marked flaky is repeated: what all plugins that know the mark understand."""
    first = mark.args[0] if mark.args else 1
    return mark.kwargs.get("reruns", mark.kwargs.get("retries", first))


def _setting(config: pytest.Config, name: str) -> int | None:
    """An option, or else the ini file's; None where no plugin knows it, or none is set."""
    given = config.getoption(name, default=None)
    if given is None:
        try:
            given = config.getini(name)
        except (ValueError, KeyError):
            return None
    return int(given) if str(given).isdigit() else None


def _is_forked(test: pytest.Item) -> bool:
    return bool(test.config.getoption("forked", default=False) or test.get_closest_marker("forked"))
