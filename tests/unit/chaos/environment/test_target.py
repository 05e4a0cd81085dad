from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.environment.external import Connection, ExternalFactory
from chaos.environment.factory import ProcessFactory
from chaos.environment.readiness import Polls
from chaos.environment.target import Placement, Service, Target
from chaos.environment.template import PostgresFactory
from chaos.environment.temporal import SHARED_SERVER, StackSpec, TemporalFactory
from chaos.environment.worker import WorkerKind
from chaos.evidence.journal import Journal
from chaos.process.child import ChildError

SECRET = "canary-1"


@pytest.fixture
def factory(tmp_path: Path) -> Iterator[ProcessFactory]:
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    yield ProcessFactory("tag", tmp_path / "scratch", tmp_path / "logs", journal)
    journal.close()


def _placement(
    target: Target, factory: ProcessFactory, project: Path | None = Path("/project")
) -> Placement:
    return Placement(target, factory, Path("/kept"), Path("/run"), SECRET, project)


def _target(cwd: Path | None = None, **settings: str) -> Target:
    return Target(
        worker=("python", "-m", "mine", "{evidence}/x"),
        task_queue="mine",
        cwd=cwd,
        settings=settings,
        kinds={
            "shipper": WorkerKind(
                argv=("ship", "{scratch}"), task_queue="ships", settings={"KEY": "{secret}"}
            )
        },
    )


def test_folders_are_filled_in(factory: ProcessFactory) -> None:
    placement = _placement(_target(DB="{scratch}/db", PLAIN="{other}"), factory)

    assert placement.worker() == ["python", "-m", "mine", "/kept/x"]
    assert placement.settings() == {"DB": f"{factory.scratch}/db", "PLAIN": "{other}"}


def test_another_kind_has_its_own_program_and_adds_to_the_settings(factory: ProcessFactory) -> None:
    placement = _placement(_target(DB="{scratch}/db"), factory)

    assert placement.worker("shipper") == ["ship", str(factory.scratch)]
    assert placement.settings("shipper") == {"DB": f"{factory.scratch}/db", "KEY": SECRET}


def test_the_main_kind_is_what_the_target_itself_says() -> None:
    assert _target().worker_kind(None) == WorkerKind(_target().worker, "mine", Polls())
    assert _target().worker_kind("shipper").task_queue == "ships"


@pytest.mark.parametrize(
    ("cwd", "folder"), [(None, "/project"), ("src", "/project/src"), ("/other", "/other")]
)
def test_processes_run_in_the_project_or_where_the_target_says(
    factory: ProcessFactory, cwd: str | None, folder: str
) -> None:
    placement = _placement(_target(Path(cwd) if cwd else None), factory)

    assert placement.child("worker-1", ["x"], {}).folder == Path(folder)


def test_the_project_is_that_where_the_run_was_begun(
    factory: ProcessFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")

    assert _placement(_target(), factory, None).cwd == tmp_path


def test_a_service_gets_its_port_and_is_found_at_it_or_at_its_proxy(
    factory: ProcessFactory,
) -> None:
    service = Service(
        name="payments",
        argv=("serve", "{port}", "{evidence}/books"),
        variable="PAYMENTS_URL",
        url="http://{address}/v1",
        settings={"HERE": "{port}"},
    )
    process = _placement(_target(), factory).service(service)
    try:
        port = str(process.port.number)
        assert process.child.argv == ["serve", port, "/kept/books"]
        assert process.child.environment["HERE"] == port
        assert process.variable("127.0.0.1:9") == {"PAYMENTS_URL": "http://127.0.0.1:9/v1"}
    finally:
        process.port.release()


def test_who_knows_one_address_or_namespace_only_has_a_server_of_its_own() -> None:
    free = Target(worker=("w",), task_queue="q")
    at_port = Target(worker=("w",), task_queue="q", port=7233)
    named = Target(worker=("w",), task_queue="q", namespace="bank")

    assert free.placed(SHARED_SERVER) == SHARED_SERVER
    assert at_port.placed(SHARED_SERVER) == StackSpec(port=7233)
    assert named.placed(SHARED_SERVER) == StackSpec(namespace="bank")


@pytest.mark.parametrize(
    ("temporal_factory", "topology"),
    [
        (ExternalFactory(Connection("temporal.example:7233", {}), "chaos-1"), "external"),
        (PostgresFactory(Path("server"), Path("sql"), Path("/template"), "tag"), "postgres"),
    ],
)
async def test_other_topologies_refuse_a_fixed_address_in_a_sentence(
    factory: ProcessFactory, temporal_factory: TemporalFactory, topology: str
) -> None:
    with pytest.raises(ChildError) as refused:
        await temporal_factory.make(StackSpec(port=7233, namespace="bank"), factory)

    assert str(refused.value) == (
        "the target needs a Temporal server of its own (port 7233, namespace bank), which the "
        f"topology {topology} cannot provide: run it with --topology dev."
    )
