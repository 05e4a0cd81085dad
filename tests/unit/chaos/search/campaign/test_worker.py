"""What a worker process of campaigns offers."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.environment.external import Connection
from chaos.environment.target import Target
from chaos.process.programs import Binary, Source
from chaos.search.campaign.worker import Offer


@pytest.mark.parametrize(("port", "told"), [(None, "4 cases at once"), (19_233, "1 case at once")])
def test_what_needs_a_fixed_port_is_run_one_at_a_time(port: int | None, told: str) -> None:
    offer = Offer(
        connection=Connection("control:7233", {}),
        queue="queue",
        project=Path(),
        targets={"shop:SHOP": Target(worker=("worker",), task_queue="orders", port=port)},
        code="c0ffee",
        slots=4,
        cli=Binary(Path("/temporal"), "temporal", "1.32.0", Source.PATH),
        say=print,
    )

    assert offer.most == int(told[0])
    assert told in str(offer)
