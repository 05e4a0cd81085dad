from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.environment.factory import ProcessFactory
from chaos.environment.target import Premises, Service, System
from chaos.evidence.journal import Journal
from chaos.process.child import IMPORT_PATH


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ProcessFactory]:
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    yield ProcessFactory("mark", tmp_path / "scratch", tmp_path / "logs", journal)
    journal.close()


def _premises(system: System, site: ProcessFactory) -> Premises:
    return Premises(system, site, Path("/kept"))


def _system(folder: Path | None = None, **settings: str) -> System:
    return System(
        worker=("python", "-m", "mine", "{evidence}/x"),
        task_queue="mine",
        recovery_seconds=10,
        folder=folder,
        settings=settings,
    )


def test_folders_are_filled_in(site: ProcessFactory) -> None:
    premises = _premises(_system(DB="{scratch}/db", PLAIN="{other}"), site)

    assert premises.worker() == ["python", "-m", "mine", "/kept/x"]
    assert premises.settings() == {"DB": f"{site.scratch}/db", "PLAIN": "{other}"}


def test_the_projects_own_folder_is_imported_from_first(site: ProcessFactory) -> None:
    settings = _premises(_system(folder=Path("/mine")), site).settings()

    assert settings["PYTHONPATH"].split(os.pathsep) == ["/mine", IMPORT_PATH]


def test_a_service_gets_its_port_and_is_found_at_it_or_at_its_proxy(site: ProcessFactory) -> None:
    service = Service(
        name="payments",
        argv=("serve", "{port}", "{evidence}/books"),
        variable="PAYMENTS_URL",
        url="http://{address}/v1",
        settings={"HERE": "{port}"},
    )
    process = _premises(_system(), site).service(service)
    try:
        port = str(process.port.number)
        assert process.child.argv == ["serve", port, "/kept/books"]
        assert process.child.environment["HERE"] == port
        assert process.variable("127.0.0.1:9") == {"PAYMENTS_URL": "http://127.0.0.1:9/v1"}
    finally:
        process.port.release()
