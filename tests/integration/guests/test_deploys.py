"""Deploys of the order: sound ones pass, and each planted mistake turns its scenario red."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from chaos.environment.target import Target
from chaos.environment.versions import Version
from chaos.experiment.results import CaseResult
from chaos.experiment.run import run_case
from chaos.experiment.scenario import Case, Scenario
from chaos.guide import deploy_change, deploy_nondeterministic
from chaos.guide.deploys import versions_of
from chaos.guide.heading import Heading
from chaos.invariants.deploys import no_version_is_removed_early
from chaos.invariants.verdict import Verdict
from tests.integration.guests.conftest import GuestRun

ORDERS = Path(__file__).parents[3] / "examples" / "orders"
CHANGE, MISTAKE = deploy_change.HEADING, deploy_nondeterministic.HEADING
SOON_SECONDS = 10.0
"""Until what is stuck counts as stuck, in place of two minutes."""

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def shop() -> Iterator[Target]:
    """The example's own target, whose package has the name of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ORDERS)
        yield _module("shop_of_orders", ORDERS / "tests" / "shop.py").SHOP


def _module(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _case(target: Target, heading: Heading, name: str) -> Case:
    assert heading.make
    (case,) = (each for each in heading.make(target).cases if each.name == name)
    return case


async def _result(guest_run: GuestRun, case: Case) -> CaseResult:
    return await run_case(Scenario("deploy", "A deploy", [case]), case, guest_run.context)


SOUND = [
    *((CHANGE, name) for name in ("with_grace", "without_grace")),
    *((CHANGE, name) for name in ("pinned", "auto_upgrade", "ramp", "rollback", "removed_early")),
    *((MISTAKE, name) for name in ("rolled_back", "pinned")),
]


@pytest.mark.parametrize(("heading", "name"), SOUND, ids=lambda each: getattr(each, "name", each))
async def test_a_deploy_of_the_shop_passes(
    guest_run: GuestRun, shop: Target, heading: Heading, name: str
) -> None:
    result = await _result(guest_run, _case(shop, heading, name))

    assert result.verdict is Verdict.PASSED, result.reason


def unpatched(target: Target) -> Case:
    """The change is deployed without `patched`, in the belief that it needs none."""
    versions = versions_of(target)
    assert versions.broken
    believed = replace(versions, new=versions.broken, broken=None)
    case = _case(replace(target, versions=believed), CHANGE, "with_grace")
    return replace(case, converge_deadline_seconds=SOON_SECONDS)


def asked_anew(target: Target) -> Case:
    """Each request for money has a new key, and the worker is stopped without grace."""
    versions = versions_of(target)
    argv = (sys.executable, "-m", "tests.forgetful_worker")
    forgetful = Version(argv, versions.old.settings, versions.old.build_id)
    return _case(
        replace(target, versions=replace(versions, old=forgetful)), CHANGE, "without_grace"
    )


def removed_early(target: Target) -> Case:
    """The heading's own control, judged as any other case."""
    case = _case(target, CHANGE, "removed_early")
    return replace(
        case, must_fail=None, invariants=(no_version_is_removed_early(versions_of(target)),)
    )


PLANTED: Mapping[Callable[[Target], Case], tuple[str, str]] = {
    unpatched: ("no_workflow_task_fails", "NonDeterministicError"),
    asked_anew: ("billed_at_most_expected", "was billed 2 times"),
    removed_early: (
        "no_version_is_removed_early",
        "pinned to version 1.0 of orders, which has no workers",
    ),
}


@pytest.mark.sample(of_each_day=1)
@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
async def test_a_planted_mistake_turns_its_deploy_red(
    guest_run: GuestRun, shop: Target, plant: Callable[[Target], Case]
) -> None:
    result = await _result(guest_run, plant(shop))

    check, words = PLANTED[plant]
    found = {each.check: each for each in result.checks}
    assert result.verdict is Verdict.FAILED, result.reason
    assert found[check].verdict is Verdict.FAILED
    assert words in " ".join(found[check].problems)


def test_a_version_that_is_not_there_is_a_sentence(shop: Target) -> None:
    ended = subprocess.run(
        shop.worker,
        cwd=shop.cwd,
        env={**os.environ, "ORDERS_VERSION": "3"},
        capture_output=True,
        text=True,
        check=False,
    )

    said = "ORDERS_VERSION is '3': there are 1, 2, 2-unpatched.\n"
    assert (ended.returncode, ended.stderr) == (2, said)
