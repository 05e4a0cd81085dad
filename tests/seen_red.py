"""`pytest tests/unit --seen-red`: which planted fault turns each invariant and scenario red.

An invariant counts as seen red where a test that passed had it find a problem in evidence. A
scenario has breaks: faults that `tests/integration/breaks/` plants in a real worker, each with the
check that has to see it; these run nightly, and here they are only named. The run fails where an
invariant was not seen red, or a scenario has no break.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pytest

ROOMS = ("chaos.invariants", "chaos.search", "chaos.guide", "tests.chaos.video")
"""Where invariants are defined."""

_PROPERTY = "seen red"
_EXAMPLES = 2


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seen-red",
        action="store_true",
        help="print what turned each invariant and scenario red, and fail where nothing did",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--seen-red"):
        seen = SeenRed(config.rootpath / "reports" / "seen-red.md")
        config.pluginmanager.register(seen)
        config.add_cleanup(seen.patch.undo)


class SeenRed:
    """Notes each invariant that finds a problem, by the test that had it look."""

    def __init__(self, file: Path) -> None:
        from chaos.evidence.case import Evidence  # noqa: PLC0415 - slow, and for the option only
        from chaos.invariants import Invariant  # noqa: PLC0415 - slow, and for the option only
        from chaos.invariants.verdict import Finding  # noqa: PLC0415 - slow, and for the option only

        self.file = file
        self.patch = pytest.MonkeyPatch()
        self._sentence = ""
        self._item: pytest.Item | None = None
        self._tests: defaultdict[str, list[str]] = defaultdict(list)
        examine = Invariant.examine

        def noting(invariant: Invariant, evidence: Evidence) -> Finding:
            finding = examine(invariant, evidence)
            problems = [
                p for p in finding.problems if not p.startswith("the check raised an error")
            ]
            if self._item and problems:
                self._item.user_properties.append((_PROPERTY, _name_of(invariant.judge)))
            return finding

        self.patch.setattr(Invariant, "examine", noting)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        self._item = item
        try:
            return (yield)
        finally:
            self._item = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Of this process, or of one of its workers: a report brings its properties along."""
        if report.when == "call" and report.passed:
            for name, value in dict.fromkeys(report.user_properties):
                if name == _PROPERTY:
                    self._tests[str(value)].append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput") or session.config.option.collectonly:
            return
        invariants, scenarios = list(self._invariants()), list(_scenarios())
        rows = [*invariants, *scenarios]
        missing = [name for name, by in rows if not by]
        if missing and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        lines = ["| invariant or scenario | turned red by |", "|---|---|"]
        breaks = _checks_of_breaks()
        for name, by in rows:
            planted = "".join(f"; break: {each}" for each in breaks.get(name, [])[:1])
            lines.append(f"| {name} | {_some(by) or '**nothing**'}{planted} |")
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text("\n".join(lines) + "\n")
        seen, broken = (sum(bool(by) for _, by in kind) for kind in (invariants, scenarios))
        self._sentence = f"{seen} invariants were seen red, {broken} scenarios have a break" + (
            f", but not: {', '.join(missing)}" if missing else ""
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._sentence:
            terminalreporter.section("seen red")
            terminalreporter.write_line(f"{self._sentence} (table: {self.file})")

    def _invariants(self) -> Iterator[tuple[str, list[str]]]:
        for name in sorted(all_invariants()):
            yield name.rpartition(".")[2], self._tests.get(name, [])


def all_invariants() -> set[str]:
    """Each invariant, and each function that makes them, by module and name."""
    from chaos.invariants import Invariant  # noqa: PLC0415 - see SeenRed

    found = set()
    for module in map(importlib.import_module, _modules()):
        for name, value in vars(module).items():
            if isinstance(value, Invariant):
                found.add(_name_of(value.judge))
            elif inspect.isfunction(value) and value.__module__ == module.__name__:
                makes = value.__annotations__.get("return") == "Invariant"
                if makes and module.__name__ != "chaos.invariants" and not name.startswith("_"):
                    found.add(f"{module.__name__}.{name}")
    return found


def _modules() -> Iterator[str]:
    for room in ROOMS:
        package = importlib.import_module(room)
        yield room
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            # Programs: importing one is to run a part of it.
            if module.name.rpartition(".")[2] != "__main__":
                yield module.name


def _name_of(judge: object) -> str:
    """Of the function that holds the judge, or of the judge itself."""
    function = inspect.unwrap(judge)  # type: ignore[arg-type]  # judges are functions
    return f"{function.__module__}.{function.__qualname__.partition('.')[0]}"


def _scenarios() -> Iterator[tuple[str, list[str]]]:
    from tests.chaos.video.scenarios.catalogue import all_scenarios  # noqa: PLC0415 - see SeenRed
    from tests.integration.breaks.all_breaks import BREAKS  # noqa: PLC0415 - see SeenRed

    for scenario in all_scenarios():
        loads = [case.load for case in scenario.cases]
        yield (
            f"{scenario.number}. {scenario.name}",
            [f"{each.name} → {each.check}" for each in BREAKS if each.case.load in loads],
        )


def _checks_of_breaks() -> dict[str, list[str]]:
    from tests.integration.breaks.all_breaks import BREAKS  # noqa: PLC0415 - see SeenRed

    found: defaultdict[str, list[str]] = defaultdict(list)
    for each in BREAKS:
        found[each.check.partition("[")[0]].append(each.name)
    return found


def _some(by: Iterable[str]) -> str:
    """A few of them, as a cell of a table."""
    names = [name.rpartition("/")[2].replace("|", "\\|") for name in by]
    more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
    return "; ".join(names[:_EXAMPLES]) + more
