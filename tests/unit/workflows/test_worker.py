"""What a worker asks of Temporal, beyond what `test_policies.py` knows."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from temporalio import workflow
from temporalio.common import VersioningBehavior

from workflows import versioned, videos, worker
from workflows.settings import load_settings

DEPLOYMENT = {"temporal_deployment_name": "video", "temporal_worker_build_id": "build-7"}


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a worker with these settings is made with."""

    def make(**settings: str) -> dict[str, Any]:
        made = Mock()
        monkeypatch.setattr(worker, "Worker", made)
        worker.build_worker(Mock(), Mock(), load_settings(gemini_api_key="a-key", **settings))
        return dict(made.call_args.kwargs)

    return make


def behavior_of(kind: type) -> VersioningBehavior | None:
    return workflow._Definition.must_from_class(kind).versioning_behavior


def name_of(kind: type) -> str | None:
    return workflow._Definition.must_from_class(kind).name


def test_no_activity_is_handed_out_eagerly(asked_for: Any) -> None:
    """Since 1.32 servers do so by default, and a kill would land elsewhere than on older ones."""
    assert asked_for()["disable_eager_activity_execution"] is True


def test_a_worker_is_versioned_only_where_its_deployment_has_a_name(asked_for: Any) -> None:
    plain = asked_for()

    assert plain["deployment_config"] is None
    assert plain["build_id"] == worker.build_id()
    # The server refuses what says how it is versioned of a worker that is not.
    assert {behavior_of(kind) for kind in plain["workflows"]} == {VersioningBehavior.UNSPECIFIED}


def test_a_versioned_worker_polls_for_its_build_alone(asked_for: Any) -> None:
    made = asked_for(**DEPLOYMENT)

    config = made["deployment_config"]
    assert config.use_worker_versioning
    assert config.version.to_canonical_string() == "video.build-7"
    assert made["build_id"] is None
    assert {name_of(kind): behavior_of(kind) for kind in made["workflows"]} == {
        "SingleVideo": VersioningBehavior.PINNED,
        "SeriesVideo": VersioningBehavior.AUTO_UPGRADE,
    }


def test_a_build_without_a_name_of_its_own_has_that_of_its_code(asked_for: Any) -> None:
    made = asked_for(temporal_deployment_name="video")

    assert made["deployment_config"].version.build_id == worker.build_id()


def test_each_workflow_has_its_versioned_class() -> None:
    assert [name_of(kind) for kind in versioned.WORKFLOWS] == [
        name_of(kind) for kind in videos.WORKFLOWS
    ]
