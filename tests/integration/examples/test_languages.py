"""The order's workers in other languages: built from a copy, and put to the same scenarios."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[3]
DEADLINE_SECONDS = 300
SCENARIOS = {"worker_dies_charging", "server_restarts", "payments_hang_up"}


@dataclass(frozen=True)
class Language:
    """How a worker in it is built: where `program`, which tells its `version`, is new enough.

    `key` is what its requests have as their idempotency key, in the file `activities`.
    """

    name: str
    program: Sequence[str]
    version: tuple[int, int]
    fetch: Sequence[str]
    build: Sequence[str]
    activities: str
    key: str
    new_key: str

    def why_not(self) -> str | None:
        """Why it cannot be built here; None where it can."""
        wanted = f"{self.program[0]} {'.'.join(map(str, self.version))}"
        if shutil.which(self.program[0]) is None or shutil.which(self.build[0]) is None:
            return f"there is no {wanted} or newer here"
        said = subprocess.run(self.program, capture_output=True, text=True, check=True).stdout
        found = re.search(r"(\d+)\.(\d+)", said)
        if found is None or (int(found[1]), int(found[2])) < self.version:
            return f"{wanted} or newer is needed, this is {said.strip()}"
        return None


LANGUAGES = (
    Language(
        name="typescript",
        program=("node", "--version"),
        version=(20, 3),
        fetch=("npm", "ci", "--prefer-offline", "--no-audit", "--no-fund"),
        build=("npm", "run", "build"),
        activities="src/activities.ts",
        key="'Idempotency-Key': key",
        new_key="'Idempotency-Key': `${key}-${Math.random()}`",
    ),
    Language(
        name="go",
        program=("go", "env", "GOVERSION"),
        version=(1, 26),
        fetch=("go", "mod", "download"),
        build=("go", "build", "-o", "worker", "."),
        activities="activities.go",
        key='"Idempotency-Key", key',
        new_key='"Idempotency-Key", key+time.Now().String()',
    ),
)


@dataclass(frozen=True)
class Example:
    """A copy of a language's example, beside one of the Python example."""

    language: Language
    folder: Path
    temporal_cli: Path

    def build(self) -> None:
        self.run(*self.language.build)

    def fetch(self) -> None:
        self.run(*self.language.fetch)

    def chaos(self, *arguments: str, expected: int = 0) -> str:
        """What the harness says, called from its folder as its user would."""
        return self.run(sys.executable, "-m", "chaos", *arguments, expected=expected)

    def cases(self) -> dict[str, dict[str, Any]]:
        """The newest run's, by the names of their scenarios."""
        results = json.loads((self.folder / "reports" / "latest" / "results.json").read_bytes())
        return {each["name"]: case for each in results["scenarios"] for case in each["cases"]}

    def run(self, *argv: str, expected: int = 0) -> str:
        """What a command says in its folder, both outputs together."""
        ended = subprocess.run(
            argv,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "TEMPORAL_CLI": str(self.temporal_cli)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert ended.returncode == expected, ended.stdout
        return ended.stdout


@pytest.fixture(scope="module", params=LANGUAGES, ids=lambda language: language.name)
def example(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path
) -> Example:
    language: Language = request.param
    if why_not := language.why_not():
        pytest.skip(why_not)
    folder = tmp_path_factory.mktemp("examples")
    ignore = shutil.ignore_patterns("reports", "__pycache__", "node_modules", "lib", "worker")
    for name in ("orders", f"orders-{language.name}"):
        shutil.copytree(PROJECT / "examples" / name, folder / name, ignore=ignore)
    found = Example(language, folder / f"orders-{language.name}", temporal_cli)
    found.fetch()
    found.build()
    return found


pytestmark = [pytest.mark.nightly, pytest.mark.timeout(3 * DEADLINE_SECONDS)]


@pytest.mark.sample
def test_the_scenarios_of_the_python_example_pass(example: Example) -> None:
    example.chaos("run", *SCENARIOS)

    cases = example.cases()
    assert cases.keys() == SCENARIOS
    for case in cases.values():
        assert case["verdict"] == "passed", case["reason"]
        assert case["cost_usd"] == case["ideal_cost_usd"] == "6.80"


def test_a_replayer_of_its_own_sdk_sees_a_step_that_is_new(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs the scenarios itself, so that it needs no other test before it."""
    if example.language.name != "go":
        pytest.skip("the example has no replayer in it")
    workflow = example.folder / "workflow.go"
    as_it_was = workflow.read_text()
    step = "\treturn receipt, nil\n"
    replay = ("replay", "--command", "./worker replay", "reports/latest")
    example.chaos("run", "worker_dies_charging")

    same = example.chaos(*replay)
    monkeypatch.setenv("ORDERS_VERSION", "2")
    patched = example.chaos(*replay)
    monkeypatch.setenv("ORDERS_VERSION", "2-unpatched")
    unpatched = example.chaos(*replay, expected=1)
    monkeypatch.setenv("ORDERS_VERSION", "3")
    unknown = example.run("./worker", "replay", expected=2)
    monkeypatch.delenv("ORDERS_VERSION")
    try:
        mail = "\tworkflow.ExecuteActivity(ctx, refundCard, order).Get(ctx, nil)\n"
        workflow.write_text(as_it_was.replace(step, f"{mail}{step}"))
        example.build()
        other = example.chaos(*replay, expected=1)
    finally:
        workflow.write_text(as_it_was)
        example.build()

    assert "1 of 1 histories replay: 4 replays" in same
    assert "1 of 1 histories replay: 4 replays" in patched
    assert "[TMPRL1100]" in unpatched
    assert unknown == 'ORDERS_VERSION is "3": there are 1, 2, 2-unpatched.\n'
    assert "| order-killed | Order | 17 (whole) | " in other
    assert "[TMPRL1100]" in other


def test_every_fault_and_a_seed_pass(example: Example) -> None:
    assert set(example.chaos("list").split()) >= SCENARIOS
    example.chaos("run", "every_fault")
    example.chaos("run", "--seed", "1", "--duration", "15", "--workflows", "12")


def test_a_request_that_has_a_new_key_each_time_is_found(example: Example) -> None:
    file = example.folder / example.language.activities
    sound = file.read_text()
    file.write_text(sound.replace(example.language.key, example.language.new_key))
    assert file.read_text() != sound
    try:
        example.build()
        example.chaos("run", "worker_dies_charging", expected=1)
    finally:
        file.write_text(sound)
        example.build()

    (case,) = example.cases().values()
    failed = {check["check"] for check in case["checks"] if check["verdict"] == "failed"}
    assert "billed_at_most_expected" in failed
