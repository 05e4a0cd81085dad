"""The pytest side: options, the fixture that runs the scenarios, the table at the end.

pytest loads it for each project where it is installed: nothing heavy is imported until a scenario
is to run, and where there is none, nothing is shown.

PYTEST_DONT_REWRITE: nothing here rests on an assert, and a conftest may have imported it before.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from chaos.evidence.text import lines, plain
from chaos.plugin import given, hooks, once, options
from chaos.plugin.collecting import MARK, Collecting, require_different

if TYPE_CHECKING:
    from chaos.experiment.runner import Runner
    from chaos.experiment.scenario import Scenario


_COLLECTING: pytest.StashKey[Collecting] = pytest.StashKey()
_CHOSEN: pytest.StashKey[dict[pytest.Item, Scenario]] = pytest.StashKey()
_LEFT_OUT: pytest.StashKey[set[str]] = pytest.StashKey()
_RUNNER: pytest.StashKey[Runner] = pytest.StashKey()
_ANSWERS: pytest.StashKey[once.Answers] = pytest.StashKey()
_NOT_STARTED = "Nothing was run: --setup-only and --setup-plan start no scenario."


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the chaos suite, and what a project may set for all its runs."""
    group = parser.getgroup("chaos", "fault-tolerance scenarios (pytest -m chaos)")
    options.add_options(group.addoption)
    given.add_ini_keys(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the one hook that a project's conftest may have."""
    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse options that contradict each other before anything is done."""
    config.addinivalue_line(
        "markers",
        f"{MARK}: a scenario that starts, breaks and heals a whole stack of real processes",
    )
    if not once.is_worker(config):
        config.pluginmanager.register(once.Controller(), "chaos_controller")
    given.require_no_stray_path(config)
    config.stash[_COLLECTING] = Collecting(config)
    config.stash[_COLLECTING].require_consistent_options()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give the tests of scenarios their scenarios."""
    metafunc.config.stash[_COLLECTING].parametrize(metafunc)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the scenarios where nobody has asked for them."""
    config.stash[_COLLECTING].select(items)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say how to have what was left out."""
    count = config.stash[_COLLECTING].left_out
    if not count or config.option.verbose < 0:
        return []
    tests = "1 test" if count == 1 else f"{count} tests"
    return [
        f"chaos: {tests} of scenarios deselected; run them by -m {MARK}, or by naming their file"
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Note which scenarios were chosen: they all run at once when the first is asked for.

    It comes before pytest-xdist's own, which sends tests on their way.
    """
    chosen = session.config.stash[_COLLECTING].chosen(session.items)
    once.require_one_run(session.config, list(chosen))
    session.config.stash[_CHOSEN] = chosen


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Run all chosen scenarios while their tests wait for them, and end what is left of them."""
    chosen = session.config.stash.get(_CHOSEN, {})
    if not chosen or not _are_to_run(session):
        return (yield)
    scenarios = _after_the_hook(session.config, list(chosen.values()))
    if not scenarios:
        return (yield)
    from chaos.experiment.runner import RunError
    from chaos.plugin.running import make_runner

    project = session.config.stash[_COLLECTING].common_project(list(chosen))
    runner = make_runner(session.config, scenarios, project)
    session.config.stash[_RUNNER] = runner
    session.config.stash[_ANSWERS] = once.Answers()
    try:
        try:
            with _ended_in_order():
                runner.start()
                return (yield)
        finally:
            runner.stop()
    except RunError as error:
        raise given.refusal(session.config, str(error)) from None


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, unless somebody else handles it: by default it ends
    the process at once, and what a fault's command has broken elsewhere would stay so.
    """
    is_free = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not is_free or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _are_to_run(session: pytest.Session) -> bool:
    """Whether pytest is about to run what it has collected, here."""
    option = session.config.option
    is_broken = session.testsfailed and not option.continue_on_collection_errors
    only_shown = option.collectonly or option.setuponly or option.setupplan
    return not (only_shown or is_broken or once.is_worker(session.config))


def _after_the_hook(config: pytest.Config, chosen: Sequence[Scenario]) -> Sequence[Scenario]:
    """What is to be run, once the project's conftest had its say. Raises UsageError."""
    changed = config.hook.pytest_chaos_scenarios(config=config, scenarios=tuple(chosen))
    scenarios: Sequence[Scenario] = chosen if changed is None else changed
    require_different(scenarios)
    kept = {each.name for each in scenarios}
    config.stash[_LEFT_OUT] = {each.name for each in chosen} - kept
    return scenarios


@pytest.fixture
def survives(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    """Wait for a scenario's result: skips the test, or fails it with the reasons."""
    from chaos.invariants.verdict import Verdict

    stash = request.config.stash

    def survives(scenario: Scenario) -> None:
        if scenario.name in stash.get(_LEFT_OUT, ()):
            pytest.skip(plain(f"{scenario.name} was deselected by pytest_chaos_scenarios."))
        if (runner := stash.get(_RUNNER, None)) is None:
            pytest.fail(plain(f"{scenario.name} was not run here."), pytrace=False)
        if reason := runner.why_not_run(scenario):
            pytest.skip(plain(reason))
        if reason := stash[_ANSWERS].why_none(scenario.name):
            pytest.fail(plain(reason), pytrace=False)
        result = runner.result(scenario)
        if result.verdict is not Verdict.PASSED:
            pytest.fail(plain(f"{scenario.name} {result.verdict}: {result.reason}"), pytrace=False)

    return survives


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run whose goals were not all met is unknown, though each of its tests has passed."""
    runner = session.config.stash.get(_RUNNER, None)
    unmet = runner is not None and runner.outcome is not None and runner.outcome.unmet
    if unmet and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show the tables of results and costs, and the OVERALL line."""
    if config.stash.get(_CHOSEN, {}) and config.option.setuponly:
        terminalreporter.write_line(_NOT_STARTED)
    runner = config.stash.get(_RUNNER, None)
    if runner is None or not (runner.outcome or runner.missing or runner.paid_usd is not None):
        return
    from chaos.plugin.github import annotation_lines
    from chaos.report.files import outcome_lines
    from chaos.report.table import (
        overall_words,
        paid_line,
    )

    terminalreporter.section("fault tolerance")
    said: list[str] = []
    if runner.outcome:
        tests = config.stash.get(_CHOSEN, {})
        said = [
            *annotation_lines(tests, runner.outcome.scenarios, os.environ),
            *runner.troubles,
            *outcome_lines(runner.outcome, runner.folder),
        ]
    elif runner.missing:
        said = [f"Nothing was run: {runner.missing}", overall_words(runner.overall)]
    elif runner.live and runner.paid_usd is not None:
        said = [paid_line(runner.paid_usd, runner.live.budget_usd)]
    for text in said:
        with suppress(OSError):  # the files have it all
            for each in lines(text):
                terminalreporter.write_line(each)
