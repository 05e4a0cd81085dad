"""The live mode as pytest has it: `--live`, which pays the real API once its user has agreed."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from chaos.evidence import numbers
from chaos.evidence.numbers import quoted
from chaos.evidence.text import line, lines, plain

if TYPE_CHECKING:
    from chaos.experiment.scenario import Scenario

DEFAULT_BUDGET_USD = Decimal("15.00")
_WATCHED = "--looponfail would pay again after every change of a file: remove it, or remove --live."


def amount(text: str) -> Decimal:
    """Dollars. Raises ArgumentTypeError."""
    if not 0 < numbers.number(text) < 100_000:
        raise ArgumentTypeError(f"must be an amount in USD, such as 15.00, not {quoted(text)}")
    return Decimal(text)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--live` and what belongs to it."""
    group = parser.getgroup("live", "the video system's scenarios with the real, paid API")
    group.addoption(
        "--live",
        action="store_true",
        help="pay the real API (GEMINI_API_KEY); says what it will cost, and asks",
    )
    group.addoption(
        "--budget",
        type=amount,
        metavar="USD",
        help=f"the most that a live run may pay (default: {DEFAULT_BUDGET_USD})",
    )
    group.addoption("--yes", action="store_true", help="do not ask before a live run pays")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Refuse to pay each time that a file changes."""
    if config.getoption("--live") and config.getoption("looponfail", default=False):
        raise pytest.UsageError(_WATCHED)


def pytest_chaos_scenarios(
    config: pytest.Config, scenarios: Sequence[Scenario]
) -> Sequence[Scenario] | None:
    """The scenarios with the real API, once the user has seen what they will cost and agreed."""
    if not config.getoption("--live"):
        if config.getoption("--budget") or config.getoption("--yes"):
            raise pytest.UsageError("--budget and --yes belong to --live, which is not given.")
        return None
    # Only now, for whoever runs unit tests loads this module as well.
    from chaos.plugin.running import options_of  # noqa: PLC0415
    from tests.chaos.video.estimate import notice, require_affordable  # noqa: PLC0415
    from tests.chaos.video.live_api import LiveError, live_target, load_live_api  # noqa: PLC0415

    _require_ours(scenarios)
    budget_usd = config.getoption("--budget") or DEFAULT_BUDGET_USD
    given = options_of(config)
    try:
        api = load_live_api(budget_usd, config.rootpath)
        require_affordable(scenarios, given, api)
    except LiveError as error:
        raise pytest.UsageError("\n".join(lines(str(error)))) from None
    _agree(config, notice(scenarios, given, api))
    target = live_target(api)
    return [
        replace(each, cases=tuple(replace(case, target=target) for case in each.cases))
        for each in scenarios
    ]


def _require_ours(scenarios: Sequence[Scenario]) -> None:
    from tests.chaos.video.target import VIDEO  # noqa: PLC0415 - as above

    for scenario in scenarios:
        if any(case.target != VIDEO for case in scenario.cases):
            raise pytest.UsageError(
                f"--live is for the video system alone: leave {plain(scenario.name)} out, or "
                "remove --live."
            )


def _agree(config: pytest.Config, notice: Sequence[str]) -> None:
    """Show what a live run will cost, and go on only with a yes."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    if capture:
        capture.suspend_global_capture(in_=True)
    try:
        _ask(notice, agreed=config.getoption("--yes"))
    finally:
        if capture:
            capture.resume_global_capture()


def _ask(notice: Sequence[str], *, agreed: bool) -> None:
    sys.stdout.write("\n" + "".join(f"{line(text)}\n" for text in notice))
    sys.stdout.flush()
    if agreed:
        return
    if not sys.stdin or not sys.stdin.isatty():
        raise pytest.UsageError("nobody is here to agree to this; add --yes to pay for it.")
    sys.stdout.write("Type yes to pay for this: ")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise pytest.UsageError("nothing was sent: the answer was not yes.")
