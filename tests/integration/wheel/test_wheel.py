"""What the wheel holds, and beside what it can be installed."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from tests.integration.wheel.conftest import PROJECT, Environment, build_wheel

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]

SCENARIO = """
import pytest
from chaos import Case, Scenario, Target, invariant

async def nothing(lab):
    lab.note("nothing is done")

@invariant
def holds(evidence):
    yield from ()

SCENARIOS = [
    Scenario(
        name="nothing",
        title="Nothing",
        cases=[
            Case(
                name="once",
                target=Target(worker=("true",), task_queue="q"),
                experiment=nothing,
                load=lambda _: (),
                proofs=(),
                undisturbed=True,
                invariants=(holds,),
            )
        ],
    )
]

@pytest.mark.chaos
def test_survives(scenario, survives):
    survives(scenario)
"""


def _distribution(wheel: Path) -> PathDistribution:
    (info,) = (each for each in zipfile.Path(wheel).iterdir() if each.name.endswith(".dist-info"))
    return PathDistribution(info)


@pytest.mark.sample
def test_it_ships_the_package_chaos_alone(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    chaos = {str(f.relative_to(PROJECT)) for f in (PROJECT / "chaos").rglob("*") if f.is_file()}

    sources = {name for name in chaos if "__pycache__" not in name}
    assert {name for name in names if ".dist-info/" not in name} == sources
    assert {"chaos/py.typed", "chaos/report/html/templates/report.html"} <= names
    assert "chaos/schemas/results.json" in names


@pytest.mark.sample
def test_its_program_takes_nobodys_name(wheel: Path) -> None:
    scripts = {each.name: each.value for each in _distribution(wheel).entry_points}

    assert scripts == {
        "temporal-chaos": "chaos.__main__:main",
        "chaos.plugin": "chaos.plugin",
    }


@pytest.mark.parametrize("pytest_version", ["7.4", "8", "9"])
@pytest.mark.parametrize(
    "others",
    [("fastapi==0.100.0", "pytest-asyncio==0.21.*"), ("fastapi", "pytest-asyncio")],
    ids=["old", "new"],
)
def test_it_resolves_beside(
    pytest_version: str, others: Sequence[str], wheel: Path, resolver: Environment
) -> None:
    wanted = (f"pytest=={pytest_version}.*", *others)

    said = resolver.pip("install", "--dry-run", "-q", "--report=-", str(wheel), *wanted)

    assert '"name": "pytest-temporal-chaos"' in said


@pytest.fixture(scope="module")
def resolver(make_environment: Callable[..., Environment]) -> Environment:
    return make_environment()


@pytest.fixture(scope="module")
def old(make_environment: Callable[..., Environment], wheel: Path) -> Environment:
    """With what a project may have had for years."""
    return make_environment(
        *("pytest==7.4.*", "pytest-asyncio==0.21.*", "pluggy==1.2.*", "fastapi==0.100.0"),
        str(wheel),
    )


@pytest.mark.sample
def test_scenarios_run_on_an_old_pytest(
    old: Environment, temporal_cli: Path, tmp_path: Path
) -> None:
    (tmp_path / "test_survives.py").write_text(SCENARIO)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    pytest_ = ("python", "-m", "pytest", "-p", "no:cacheprovider")

    plain = old.run(*pytest_, cwd=tmp_path, expected=pytest.ExitCode.NO_TESTS_COLLECTED)
    asked = old.run(*pytest_, "-m", "chaos", f"--chaos-temporal-cli={temporal_cli}", cwd=tmp_path)

    assert "chaos: 1 test of scenarios deselected" in plain.stdout
    assert "OVERALL: 1/1 tests passed" in asked.stdout
    assert "pytest-7.4" in asked.stdout
    assert list((tmp_path / "reports").glob("*/results.json"))


def test_links_of_its_readme_lead_to_the_address_that_is_set(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(PROJECT / "chaos", source / "chaos")
    for name in ("README.md", "LICENSE", "hatch_build.py"):
        shutil.copy(PROJECT / name, source)
    setting = (PROJECT / "pyproject.toml").read_text()
    assert 'address = ""' in setting
    address = "https://example.org/chaos"
    (source / "pyproject.toml").write_text(
        setting.replace('address = ""', f'address = "{address}/"')
    )

    metadata = _distribution(build_wheel(source, tmp_path / "built")).metadata

    readme = metadata["Description"]
    assert f"]({address}/raw/HEAD/docs/" in readme
    assert "](docs/" not in readme
    assert f"Source, {address}" in metadata.get_all("Project-URL", [])


def test_its_program_runs_where_nothing_else_is_installed(old: Environment, tmp_path: Path) -> None:
    assert "usage: temporal-chaos" in old.run("temporal-chaos", "--help", cwd=tmp_path).stdout
    assert not (old.programs / "chaos").exists()
