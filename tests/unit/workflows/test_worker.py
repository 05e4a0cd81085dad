"""What a worker asks of Temporal, beyond what `test_policies.py` knows."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from workflows import worker


def test_no_activity_is_handed_out_eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since 1.32 servers do so by default, and a kill would land elsewhere than on older ones."""
    made = Mock()
    monkeypatch.setattr(worker, "Worker", made)

    worker.build_worker(Mock(), Mock(), Mock())

    assert made.call_args.kwargs["disable_eager_activity_execution"] is True
