from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chaos.environment.factory import ProcessFactory
from chaos.environment.stack import NotHereError, Stack, StackConfig
from chaos.environment.target import Placement, Target
from chaos.environment.temporal import StackSpec
from chaos.environment.versions import Version, Versions
from chaos.evidence.journal import Journal

OLD = Version(build_id="1.0")
NEW = Version(settings={"BUILD": "{scratch}/2"}, build_id="2.0")
OTHER = Version(argv=("python", "-m", "other", "{evidence}"), build_id="2.1")
VERSIONS = Versions(old=OLD, new=NEW, broken=OTHER, deployment="shop")


def _target(versions: Versions | None = VERSIONS) -> Target:
    return Target(
        worker=("python", "-m", "mine"),
        task_queue="mine",
        settings={"BUILD": "1", "DB": "db"},
        versions=versions,
    )


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    found = Journal(tmp_path / "journal.jsonl", lambda _: None)
    yield found
    found.close()


def _stack(tmp_path: Path, journal: Journal, target: Target) -> Stack:
    config = StackConfig(run_tag="tag", scratch=tmp_path, evidence=tmp_path, temporal_cli=None)
    return Stack(StackSpec(), target, config, journal)


def test_a_version_has_what_it_says_and_else_what_the_target_has(
    tmp_path: Path, journal: Journal
) -> None:
    factory = ProcessFactory("tag", tmp_path / "scratch", tmp_path / "logs", journal)
    placement = Placement(_target(), factory, Path("/kept"), Path("/run"), "secret")

    assert placement.worker(version="old") == ["python", "-m", "mine"]
    assert placement.worker(version="broken") == ["python", "-m", "other", "/kept"]
    assert placement.settings(version="old") == {"BUILD": "1", "DB": "db"}
    assert placement.settings(version="new") == {"BUILD": f"{factory.scratch}/2", "DB": "db"}


def test_a_versioned_worker_is_told_by_the_variables_of_the_worker_controller() -> None:
    assert VERSIONS.variables("new") == {
        "TEMPORAL_DEPLOYMENT_NAME": "shop",
        "TEMPORAL_WORKER_BUILD_ID": "2.0",
    }


def test_two_versions_of_the_same_program_are_no_deploy() -> None:
    with pytest.raises(ValueError, match="start the same program"):
        Versions(old=Version(build_id="1"), new=Version(build_id="2"))


@pytest.mark.parametrize("build_id", ["", "1.0"])
def test_a_worker_deployment_needs_a_build_id_of_each(build_id: str) -> None:
    new = Version(settings={"BUILD": "2"}, build_id=build_id)

    with pytest.raises(ValueError, match="need build ids that differ"):
        Versions(old=OLD, new=new, deployment="shop")


async def test_a_version_that_is_not_named_is_refused(tmp_path: Path, journal: Journal) -> None:
    stack = _stack(tmp_path, journal, _target(Versions(old=OLD, new=NEW)))

    for start in (stack.start_worker(version="broken"), stack.keep_workers(1, version="broken")):
        with pytest.raises(NotHereError, match="names no version 'broken'"):
            await start
    with pytest.raises(NotHereError, match=r"needs a version, and .* need a worker deployment"):
        await stack.start_worker(version="new", versioned=True)
