"""What a workflow was started with is read from the user's own server, where nothing is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.environment.temporal import StackSpec
from chaos.search.probe.given import Given, GivenError, run_like
from tests.integration.conftest import BenchIn


async def test_type_queue_and_input_are_those_of_a_workflow_that_is_there(
    bench_in: BenchIn, tmp_path: Path
) -> None:
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        client, address = bench.lab.client, bench.lab.stack.temporal.address
        handle = await client.start_workflow(
            "Order", {"order_id": "order-7"}, id="order-7", task_queue="orders"
        )
        before = await handle.fetch_history()
        run = await run_like("order-7", address, client.namespace)
        with pytest.raises(GivenError, match="knows no workflow 'order-8'"):
            await run_like("order-8", address, client.namespace)
        after = await handle.fetch_history()

    target = Given(worker="npm start", like=run).target()
    (argument,) = target.specs["Order"]("order-9").arguments
    assert (run.workflow_type, target.task_queue) == ("Order", "orders")
    assert argument.payload.data == b'{"order_id":"order-9"}'
    assert before.events == after.events, "it was only read"
