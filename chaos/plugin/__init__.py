"""The pytest side: options, the fixture that runs the scenarios, the table at the end.

Nothing heavy is imported until a scenario is to run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from chaos.evidence.text import line, lines, plain
from chaos.plugin import once, options

if TYPE_CHECKING:
    from chaos.experiment.events import View
    from chaos.experiment.lab import Options
    from chaos.experiment.runner import Runner
    from chaos.experiment.scenario import Scenario


_SCENARIOS: pytest.StashKey[Sequence[Scenario]] = pytest.StashKey()
_SEEDED: pytest.StashKey[Scenario] = pytest.StashKey()
_RUNNER: pytest.StashKey[Runner] = pytest.StashKey()
_ANSWERS: pytest.StashKey[once.Answers] = pytest.StashKey()
_NOT_STARTED = "Nothing was run: --setup-only and --setup-plan start no scenario."


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the chaos suite."""
    group = parser.getgroup("chaos", "fault-tolerance scenarios (pytest -m chaos)")
    options.add_options(group.addoption)


def pytest_configure(config: pytest.Config) -> None:
    """Draw or read the schedules that were asked for: a mistake is told before anything is done."""
    config.addinivalue_line(
        "markers", "chaos: a scenario that starts, breaks and heals a whole stack of real processes"
    )
    if not once.is_worker(config):
        config.pluginmanager.register(once.Controller(), "chaos_controller")
    if schedules := _schedules(config):
        config.stash[_SEEDED] = schedules


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Refuse what would pay without end."""
    once.require_no_watch(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give the test of scenarios those of its module or else of the catalogue, or the schedules
    that were asked for.
    """
    if metafunc.definition.get_closest_marker("chaos") and "scenario" in metafunc.fixturenames:
        from chaos.experiment.catalogue import scenarios_of  # noqa: PLC0415 - see the docstring

        seeded = metafunc.config.stash.get(_SEEDED, None)
        own = getattr(metafunc.module, "SCENARIOS", None)
        scenarios = own or ((seeded,) if seeded else scenarios_of(metafunc.config.rootpath))
        metafunc.parametrize("scenario", scenarios, ids=[scenario.name for scenario in scenarios])


def _schedules(config: pytest.Config) -> Scenario | None:
    seeds, replay = config.getoption("--seed"), config.getoption("--replay")
    drawing = config.getoption("--faults") or config.getoption("--duration")
    if drawing and not seeds:
        raise pytest.UsageError("--faults and --duration belong to --seed, which is not given.")
    if seeds and replay:
        raise pytest.UsageError(
            "--seed draws new schedules, --replay takes saved ones: choose one."
        )
    if not seeds and not replay:
        return None
    # What follows is heavy: see the module's docstring.
    from chaos.experiment.catalogue import CatalogueError, target_of  # noqa: PLC0415
    from chaos.search.draw import Wishes, draw  # noqa: PLC0415 - likewise
    from chaos.search.schedule import ScheduleError  # noqa: PLC0415 - likewise
    from chaos.search.seeded import seeded, seeded_of  # noqa: PLC0415 - likewise

    wishes = Wishes(
        families=config.getoption("--faults") or (),
        duration_seconds=config.getoption("--duration") or options.DEFAULT_DURATION_SECONDS,
        workflows=config.getoption("--workflows") or options.DEFAULT_SEEDED_WORKFLOWS,
    )
    try:
        target = target_of(config.rootpath)
        if replay:
            return seeded_of(replay, target)
        return seeded([draw(seed, wishes, target) for seed in seeds], target)
    except (CatalogueError, ScheduleError) as error:
        raise pytest.UsageError("\n".join(lines(str(error)))) from None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Note which scenarios were chosen: they all run at once when the first is asked for.

    It comes before pytest-xdist's own, which sends tests on their way.
    """
    tests = [item for item in session.items if item.get_closest_marker("chaos")]
    asked = {
        item: spec.params["scenario"]
        for item in tests
        if (spec := getattr(item, "callspec", None))
        and "scenario" in spec.params
        and once.will_ask(item)
    }
    chosen = list(asked.values())
    seeded = session.config.stash.get(_SEEDED, None)
    if seeded and any(scenario is not seeded for scenario in chosen):
        raise pytest.UsageError(
            "--seed and --replay take the place of the scenarios of [tool.chaos], and these tests "
            "have SCENARIOS of their own: leave them out."
        )
    if chosen and not __debug__:
        raise pytest.UsageError(
            "Python runs with -O, or PYTHONOPTIMIZE is set: it leaves out the assert statements on "
            "which verdicts may rest; run without."
        )
    _require_different(chosen)
    once.require_one_run(session.config, list(asked))
    session.config.stash[_SCENARIOS] = chosen


def _require_different(chosen: Sequence[Scenario]) -> None:
    names = [scenario.name for scenario in chosen]
    twice = next((each for each in chosen if names.count(each.name) > 1), None)
    if twice is None:
        return
    if all(each is twice for each in chosen if each.name == twice.name):
        raise pytest.UsageError(
            f"{plain(twice.name)} was chosen {names.count(twice.name)} times, and a scenario runs "
            "once in a run: leave --count or --keep-duplicates out, or have one test of it."
        )
    raise pytest.UsageError(
        f"two scenarios are named {plain(twice.name)}, and would share a folder; rename one."
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Run all chosen scenarios while their tests wait for them, and end what is left of them."""
    chosen = session.config.stash.get(_SCENARIOS, [])
    if not chosen or not _are_to_run(session):
        return (yield)
    from chaos.experiment.runner import RunError  # noqa: PLC0415 - see the module's docstring

    runner = _make_runner(session.config, chosen)
    try:
        try:
            runner.start()
            return (yield)
        finally:
            runner.stop()
    except RunError as error:
        raise pytest.UsageError("\n".join(lines(str(error)))) from None


def _are_to_run(session: pytest.Session) -> bool:
    """Whether pytest is about to run what it has collected, here."""
    option = session.config.option
    is_broken = session.testsfailed and not option.continue_on_collection_errors
    only_shown = option.collectonly or option.setuponly or option.setupplan
    return not (only_shown or is_broken or once.is_worker(session.config))


def _options(config: pytest.Config) -> Options:
    from chaos.experiment.lab import Options  # noqa: PLC0415 - see the module's docstring

    return Options(workflows=config.getoption("--workflows") or options.DEFAULT_WORKFLOWS)


def _make_runner(config: pytest.Config, chosen: Sequence[Scenario]) -> Runner:
    if config.getoption("--temporal-server") and config.getoption("--topology") != "postgres":
        raise pytest.UsageError("--temporal-server belongs to --topology postgres.")
    from chaos.environment.provision import Choice  # noqa: PLC0415 - see the module's docstring
    from chaos.environment.temporal import Topology  # noqa: PLC0415 - likewise
    from chaos.experiment.runner import Runner  # noqa: PLC0415 - likewise
    from chaos.report.files import write_reports  # noqa: PLC0415 - likewise

    config.stash[_ANSWERS] = once.Answers()
    runner = config.stash[_RUNNER] = Runner(
        chosen=chosen,
        choice=Choice(
            topology=Topology(config.getoption("--topology")),
            temporal_cli=config.getoption("--temporal-cli"),
            temporal_server=config.getoption("--temporal-server"),
        ),
        options=_options(config),
        write=write_reports,
        worker_argv=config.getoption("--worker-command") or (),
        reports=(config.getoption("--reports") or config.rootpath / "reports").absolute(),
        view=_view(config),
    )
    return runner


@pytest.fixture
def survives(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    """Wait for a scenario's result: skips the test, or fails it with the reasons."""
    from chaos.invariants.verdict import Verdict  # noqa: PLC0415 - see the module's docstring

    stash = request.config.stash

    def survives(scenario: Scenario) -> None:
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


def _view(config: pytest.Config) -> View:
    """The live view on a terminal, else plain lines, each at once although pytest captures output.

    A quiet pytest shows neither.
    """
    from chaos.experiment.events import NoView  # noqa: PLC0415 - see the module's docstring
    from chaos.plugin.view.live import LiveView  # noqa: PLC0415 - likewise
    from chaos.plugin.view.plain import PlainView  # noqa: PLC0415 - likewise
    from chaos.plugin.view.terminal import Terminal, can_be_drawn_on  # noqa: PLC0415 - likewise

    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if reporter is None or capture is None or config.get_verbosity() < 0:
        return NoView()
    writer = config.get_terminal_writer()
    if not config.getoption("--plain") and can_be_drawn_on(sys.stdout, os.environ):
        descriptor = os.dup(sys.stdout.fileno())
        config.add_cleanup(lambda: os.close(descriptor))
        return LiveView(
            Terminal(descriptor, writer.hasmarkup, column=lambda: writer.width_of_current_line)
        )

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(text)
            reporter.flush()

    return PlainView(say)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show the tables of results and costs, and the OVERALL line."""
    if config.stash.get(_SCENARIOS, []) and config.option.setuponly:
        terminalreporter.write_line(_NOT_STARTED)
    runner = config.stash.get(_RUNNER, None)
    if runner is None or not (runner.outcome or runner.missing or runner.paid_usd is not None):
        return
    from chaos.report.table import (  # noqa: PLC0415 - see the module's docstring
        overall_words,
        paid_line,
    )
    from chaos.report.terminal import outcome_lines  # noqa: PLC0415 - likewise

    terminalreporter.section("fault tolerance")
    said: list[str] = []
    if runner.outcome:
        said = [*runner.troubles, *outcome_lines(runner.outcome, runner.folder)]
    elif runner.missing:
        said = [f"Nothing was run: {runner.missing}", overall_words(runner.overall)]
    elif runner.live and runner.paid_usd is not None:
        said = [paid_line(runner.paid_usd, runner.live.budget_usd)]
    for text in said:
        with suppress(OSError):  # the files have it all
            for each in lines(text):
                terminalreporter.write_line(each)
