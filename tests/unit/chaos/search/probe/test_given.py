"""From a user's words to a target, and what is said where they are not enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

from chaos.environment.readiness import LogLine
from chaos.search.probe.given import Given, GivenError, Run, of_target
from tests.unit.chaos.search.guest import PLAIN

ENOUGH: dict[str, Any] = {"worker": "npm start", "task_queue": "orders", "workflow": "Order"}


def made(**given: Any) -> Given:
    """With what has to be there."""
    return Given(**{**ENOUGH, **given})


def test_a_command_line_becomes_a_target() -> None:
    target = made(cwd=Path("shop"), ready_line="ready", variables=["HOME"], port=7233).target()

    assert target.worker == ["npm", "start"]
    assert (target.task_queue, target.port, target.passed) == ("orders", 7233, ("HOME",))
    assert target.cwd == Path("shop").absolute()
    assert target.ready == LogLine("ready")


def test_each_run_has_its_own_id_in_its_input() -> None:
    target = made(inputs=['{"order": {"ids": ["{id}", 7]}}', '"for {id}"']).target()
    spec = target.specs["Order"]("order-3")

    assert (spec.workflow_id, spec.workflow_type) == ("order-3", "Order")
    assert spec.arguments == ({"order": {"ids": ["order-3", 7]}}, "for order-3")


def test_a_service_has_a_port_and_a_variable() -> None:
    given = made(services=["PAYMENTS_URL=python doubles.py {port} '{evidence}/a b.jsonl'"])
    (service,) = given.target().services

    assert (service.name, service.variable) == ("payments", "PAYMENTS_URL")
    assert service.argv == ["python", "doubles.py", "{port}", "{evidence}/a b.jsonl"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"worker": ""}, "--worker is missing: the command"),
        ({"task_queue": ""}, "--task-queue is missing: the queue that the worker polls"),
        ({"workflow": ""}, "--workflow is missing: the type of the workflow"),
        ({"worker": "npm 'start"}, "--worker is not a valid command"),
        ({"inputs": ["{id"]}, "--input is not JSON"),
        ({"services": ["python x {port}"]}, "--service is VARIABLE=COMMAND"),
        ({"services": ["PAY=python x"]}, "{port}"),
        ({"services": ["PAY=http://127.0.0.1:1"]}, "give the command of a test double"),
    ],
)
def test_what_is_missing_or_wrong_is_told(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(GivenError) as error:
        made(**given).target()

    assert sentence in str(error.value)


def test_a_workflow_that_has_run_gives_type_queue_and_input_with_a_new_id() -> None:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b'{"order": "old-1"}')
    like = Run("old-1", "Order", "orders", [payload])
    target = Given(worker="npm start", like=like).target()
    (argument,) = target.specs["Order"]("new-2").arguments

    assert target.task_queue == "orders"
    assert argument.payload.data == b'{"order": "new-2"}'
    assert payload.data == b'{"order": "old-1"}'


def test_an_input_that_cannot_be_read_is_sent_as_it_was() -> None:
    payload = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"old-1")
    target = Given(worker="npm start", like=Run("old-1", "Order", "orders", [payload])).target()
    (argument,) = target.specs["Order"]("new-2").arguments

    assert argument.payload == payload


def test_what_is_given_goes_over_what_has_run() -> None:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    like = Run("old-1", "Order", "orders", [payload])
    target = made(workflow="Refund", task_queue="refunds", inputs=["2"], like=like).target()

    assert target.task_queue == "refunds"
    assert target.specs["Refund"]("new-2").arguments == (2,)


def test_a_projects_target_has_just_the_one_spec() -> None:
    assert list(of_target(PLAIN, "order").specs) == ["order"]
    with pytest.raises(GivenError, match="order, large_order"):
        of_target(PLAIN, "none")
