"""What runs the chosen scenarios, as the options have it, and the view that shows it meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import pytest

from chaos.environment.provision import Choice
from chaos.environment.temporal import Topology
from chaos.experiment.events import NoView, View
from chaos.experiment.lab import Options
from chaos.experiment.runner import Runner
from chaos.experiment.scenario import Scenario
from chaos.plugin import options
from chaos.plugin.given import value
from chaos.plugin.live_view import LiveView
from chaos.plugin.plain_view import PlainView
from chaos.report.files import write_reports


def make_runner(config: pytest.Config, chosen: Sequence[Scenario], project: Path) -> Runner:
    """It is not started yet; without other wishes it keeps its reports beside the project."""
    return Runner(
        chosen=chosen,
        choice=Choice(
            topology=Topology(value(config, "topology") or options.DEFAULT_TOPOLOGY),
            temporal_cli=value(config, "temporal_cli"),
            temporal_server=value(config, "temporal_server"),
        ),
        options=options_of(config),
        write=write_reports,
        worker_argv=value(config, "worker_command") or (),
        project=project,
        reports=(value(config, "reports") or project / "reports").absolute(),
        view=view_of(config),
    )


def options_of(config: pytest.Config) -> Options:
    """What scenarios know of a user's wishes."""
    return Options(workflows=value(config, "workflows") or options.DEFAULT_WORKFLOWS)


def can_be_drawn_on(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether it is a terminal that understands more than lines, and somebody sees it."""
    is_ci = environment.get("CI", "").lower() not in {"", "0", "false", "no"}
    return stream.isatty() and not is_ci and environment.get("TERM", "dumb") != "dumb"


def view_of(config: pytest.Config) -> View:
    """The live view on a terminal, else plain lines, each at once although pytest captures output.

    A quiet pytest shows neither.
    """
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if reporter is None or capture is None or config.option.verbose < 0:
        return NoView()
    writer = config.get_terminal_writer()
    if not value(config, "plain") and can_be_drawn_on(sys.stdout, os.environ):
        descriptor = os.dup(sys.stdout.fileno())
        config.add_cleanup(lambda: os.close(descriptor))
        return LiveView(descriptor, writer.hasmarkup, lambda: writer.width_of_current_line)

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(text)
            reporter.flush()

    return PlainView(say)
