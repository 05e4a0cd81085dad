"""Which scenarios the collected tests stand for, and which of them were asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chaos.evidence.text import plain
from chaos.plugin import once
from chaos.plugin.given import refusal, value

if TYPE_CHECKING:
    from chaos.experiment.scenario import Scenario

MARK = "chaos"
_PARAMETER = "scenario"


@dataclass
class Collecting:
    """The scenarios of a session. `wrong` is why it cannot go on, `left_out` how many tests of
    scenarios nobody has asked for.
    """

    config: pytest.Config
    wrong: str | None = None
    left_out: int = 0
    _known: dict[Path, Sequence[Scenario]] = field(default_factory=dict)  # by module or project
    _replacing: dict[Path, Sequence[Scenario]] = field(default_factory=dict)  # by project
    _projects: dict[Path, Path] = field(default_factory=dict)

    @property
    def is_replaced(self) -> bool:
        """Whether schedules, or the guide's, take the place of the project's scenarios."""
        return any(value(self.config, option) for option in ("seed", "replay", "guide"))

    def require_consistent_options(self) -> None:
        """Raises UsageError."""
        seeds, replay = value(self.config, "seed"), value(self.config, "replay")
        drawing = value(self.config, "faults") or value(self.config, "duration")
        if drawing and not seeds:
            raise refusal(
                self.config,
                "--chaos-faults and --chaos-duration need --chaos-seed.",
            )
        if seeds and replay:
            raise refusal(
                self.config,
                "--chaos-seed draws new schedules, and --chaos-replay runs saved ones: choose one.",
            )
        if value(self.config, "guide") and (seeds or replay):
            other = "--chaos-seed" if seeds else "--chaos-replay"
            raise refusal(
                self.config,
                f"--chaos-guide and {other} both take the place of the scenarios: choose one.",
            )
        server, topology = value(self.config, "temporal_server"), value(self.config, "topology")
        if server and topology != "postgres":
            raise refusal(self.config, "--chaos-temporal-server needs --chaos-topology postgres.")

    def project_of(self, test: Path) -> Path:
        """The nearest folder above a test whose pyproject.toml has `[tool.chaos]`, else pytest's
        own root: in a monorepo each project has its own.
        """
        folder = test.parent
        if folder not in self._projects:
            from chaos.experiment.catalogue import project_above

            self._projects[folder] = project_above(folder) or self.config.rootpath
        return self._projects[folder]

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Give a test of scenarios those of its module, else of its project, or what was asked
        for in their place. A test that nobody asked for has none: it is deselected.
        """
        if not (_is_marked(metafunc.definition) and _PARAMETER in metafunc.fixturenames):
            return
        if not self.is_asked_for(metafunc.definition):
            return
        scenarios = self._scenarios(metafunc)
        metafunc.parametrize(_PARAMETER, scenarios, ids=[each.name for each in scenarios])

    def is_asked_for(self, test: pytest.Item) -> bool:
        """By `-m`, by what takes their place, or because its file or itself was named."""
        # `not chaos` is one finding, and asks for none.
        if MARK in re.findall(r"(?:not\s+)?\w+", self.config.option.markexpr) or self.is_replaced:
            return True
        invocation = self.config.invocation_params
        typed = {str(argument) for argument in invocation.args} & set(self.config.args)
        return test.path in {(invocation.dir / each.partition("::")[0]).resolve() for each in typed}

    def select(self, items: list[pytest.Item]) -> None:
        """Leave out what nobody asked for, and of the tests of a project that would all have the
        same scenarios in their place all but the first. Raises UsageError.
        """
        if self.wrong and not once.is_worker(self.config):
            raise refusal(self.config, self.wrong)
        marked = [item for item in items if _is_marked(item)]
        unasked = [item for item in marked if not self.is_asked_for(item)]
        self.left_out = len(unasked)
        left_out = {*unasked, *(self._again(marked) if self.is_replaced else ())}
        if left_out:
            self.config.hook.pytest_deselected(items=[item for item in items if item in left_out])
            items[:] = [item for item in items if item not in left_out]

    def chosen(self, items: Sequence[pytest.Item]) -> dict[pytest.Item, Scenario]:
        """The tests that will run, and their scenarios. Raises UsageError."""
        found = {
            item: scenario
            for item in items
            if _is_marked(item) and (scenario := scenario_of(item)) and once.will_ask(item)
        }
        if found and not __debug__:
            raise pytest.UsageError(
                "Python runs with -O, or PYTHONOPTIMIZE is set: that removes the assert "
                "statements that verdicts may depend on; run without it."
            )
        require_different(list(found.values()))
        return found

    def common_project(self, tests: Sequence[pytest.Item]) -> Path:
        """That of these tests, if they have one in common, else pytest's own root."""
        projects = {self.project_of(test.path) for test in tests}
        return projects.pop() if len(projects) == 1 else self.config.rootpath

    def _scenarios(self, metafunc: pytest.Metafunc) -> Sequence[Scenario]:
        from chaos.experiment.catalogue import CatalogueError, scenarios_of
        from chaos.experiment.scenario import numbered

        project = self.project_of(metafunc.definition.path)
        try:
            if self.is_replaced:
                return self._in_their_place(project)
            own: Sequence[Scenario] = getattr(metafunc.module, "SCENARIOS", ())
            source = metafunc.definition.path if own else project
            if source not in self._known:
                before = sum(map(len, self._known.values()))
                self._known[source] = numbered(own, before) if own else scenarios_of(project)
            return self._known[source]
        except CatalogueError as error:
            return self._none(str(error))

    def _none(self, wrong: str) -> Sequence[Scenario]:
        """Say what is wrong when all is collected: raised here it would be a broken test, of which
        pytest shows a stack trace. A worker of pytest-xdist has nobody else to tell it to.
        """
        if once.is_worker(self.config):
            raise pytest.Collector.CollectError(wrong)
        self.wrong = wrong
        return []

    def _in_their_place(self, project: Path) -> Sequence[Scenario]:
        """The guide's scenarios, or the schedules of a seed or a run."""
        from chaos.plugin.replacing import scenarios_for
        from chaos.search.schedule import ScheduleError

        if project not in self._replacing:
            try:
                self._replacing[project] = scenarios_for(self.config, project)
            except ScheduleError as error:
                return self._none(str(error))
        return self._replacing[project]

    def _again(self, tests: Sequence[pytest.Item]) -> list[pytest.Item]:
        seen: list[Scenario] = []
        again = []
        for test in tests:
            scenario = scenario_of(test)
            if scenario is None or any(scenario is each for each in seen):
                again.append(test)
            else:
                seen.append(scenario)
        return again


def scenario_of(item: pytest.Item) -> Scenario | None:
    """The scenario that a test has as a parameter."""
    spec = getattr(item, "callspec", None)
    found: Scenario | None = spec.params.get(_PARAMETER) if spec else None
    return found


def require_different(chosen: Sequence[Scenario]) -> None:
    """No two may share a name, by which folders and results are found. Raises UsageError."""
    names = [scenario.name for scenario in chosen]
    twice = next((each for each in chosen if names.count(each.name) > 1), None)
    if twice is None:
        return
    if all(each is twice for each in chosen if each.name == twice.name):
        raise pytest.UsageError(
            f"{plain(twice.name)} was chosen {names.count(twice.name)} times, and a scenario runs "
            "once in a run: remove --count or --keep-duplicates, or have one test of it."
        )
    raise pytest.UsageError(
        f"two scenarios are named {plain(twice.name)} and would share a folder; rename one."
    )


def _is_marked(item: pytest.Item) -> bool:
    return item.get_closest_marker(MARK) is not None
