"""What a target's own converter has written is read by it again."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from chaos.evidence.case import Evidence, Reading
from chaos.evidence.histories import HISTORIES, history_name
from chaos.evidence.history import Status, Workflow
from chaos.evidence.spec import SPECS, WorkflowSpec, save_specs
from tests.data.guests.shop import sealed

PLAIN = dataclasses.replace(sealed.CONVERTER, payload_codec=None)


async def _completed(converter: DataConverter, *result: object) -> WorkflowHistory:
    event = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)
    payloads = await converter.encode(result)
    event.workflow_execution_completed_event_attributes.result.payloads.extend(payloads)
    return WorkflowHistory("order", [event])


async def _failed(converter: DataConverter, words: str, *details: object) -> WorkflowHistory:
    event = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED)
    failure = Failure()
    await converter.encode_failure(ApplicationError(words, *details), failure)
    event.workflow_execution_failed_event_attributes.failure.CopyFrom(failure)
    return WorkflowHistory("order", [event])


@pytest.mark.parametrize("converter", [PLAIN, sealed.CONVERTER])
@pytest.mark.parametrize(
    "result", [sealed.Price("1.50"), b"\x00\xff", WorkflowType(name="lamp"), {"a": 1}]
)
async def test_a_result_is_what_was_returned(converter: DataConverter, result: object) -> None:
    """Also where a loop runs already."""
    workflow = Workflow("order", [await _completed(converter, result)], converter)

    assert workflow.result(type(result)) == result
    assert workflow.status is Status.COMPLETED


@pytest.mark.parametrize("converter", [DataConverter.default, PLAIN, sealed.CONVERTER])
def test_a_failure_says_what_it_said_and_has_its_details(converter: DataConverter) -> None:
    run = asyncio.run(_failed(converter, "no such lamp", "detail"))
    workflow = Workflow("order", [run], converter)

    assert workflow.failure_message == "no such lamp"
    assert workflow.result(str) == "detail"


def test_another_converter_does_not_read_what_is_sealed() -> None:
    """The counter-example: the seal is one."""
    run = asyncio.run(_completed(sealed.CONVERTER, "lamp"))

    with pytest.raises(KeyError, match="Unknown payload encoding binary/sealed"):
        Workflow("order", [run]).result(str)


def test_evidence_is_read_by_the_converter_of_its_target(tmp_path: Path) -> None:
    spec = WorkflowSpec(
        workflow_id="order", workflow_type="Order", arguments=(sealed.Price("1.50"), b"\xff")
    )
    asyncio.run(save_specs(tmp_path, [spec], sealed.CONVERTER))
    assert "1.50" not in (tmp_path / SPECS).read_text()
    (tmp_path / HISTORIES).mkdir()
    run = asyncio.run(_completed(sealed.CONVERTER, sealed.Price("3.00")))
    (tmp_path / HISTORIES / history_name("order", 1)).write_text(run.to_json())

    evidence = Evidence.load(tmp_path, Reading(data_converter=sealed.CONVERTER))

    assert evidence.workflows["order"].result(sealed.Price) == sealed.Price("3.00")
    (saved,) = evidence.specs
    payloads = [argument.payload for argument in saved.arguments]
    assert asyncio.run(sealed.CONVERTER.decode(payloads, [sealed.Price, bytes])) == [
        sealed.Price("1.50"),
        b"\xff",
    ]
