"""Replays histories by Python workflow classes, in this process."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow as workflows_of_sdk
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.worker import (
    Replayer,
    UnsandboxedWorkflowRunner,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from chaos.evidence.pending import told
from chaos.invariants import Invariant

SLOW = "[TMPRL1101]"
"""The code by which all SDKs report that a workflow's code took too long, by the wall clock."""

_LONGEST = 300
_MESSAGE = re.compile(r'\bmessage: "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Code:
    """Workflow classes, and what reads their payloads."""

    workflows: Sequence[type]
    data_converter: DataConverter = pydantic_data_converter

    @property
    def kinds(self) -> frozenset[str]:
        """The workflow types."""
        return frozenset(name for each in self.workflows if (name := type_of(each)))

    async def replayed(
        self, histories: AsyncIterator[WorkflowHistory]
    ) -> AsyncIterator[tuple[WorkflowHistory, str]]:
        """Each history with why it does not replay; empty where it does. One worker is for all: to
        make one costs more than to replay a history.
        """
        logging.getLogger("temporalio").setLevel(logging.CRITICAL)  # the failures say it all
        failures: list[str] = []
        replayer = Replayer(
            workflows=self.workflows,
            workflow_runner=_Listening(SandboxedWorkflowRunner(), failures),
            unsandboxed_workflow_runner=_Listening(UnsandboxedWorkflowRunner(), failures),
            data_converter=self.data_converter,
            build_id="replay",  # one that is not given is computed, of every module that there is
        )
        async with replayer.workflow_replay_iterator(histories) as results:
            async for result in results:
                failure = result.replay_failure
                yield result.history, _told(str(failure)) if failure else "".join(failures[:1])
                failures.clear()


@dataclass(frozen=True)
class Replays(Invariant):
    """The invariant that `replays_with` makes; `temporal-chaos replay` takes its `code` from it."""

    code: Code = Code(())


@dataclass
class _Listening(WorkflowRunner):
    """Runs workflows as another runner does, and notes how they fail workflow tasks. The SDK's
    replayer says nothing of the last task of a history that has no end: that one is not replayed.
    """

    runner: WorkflowRunner
    failures: list[str] = field(default_factory=list)

    def prepare_workflow(self, defn: Any) -> None:
        self.runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(
        self, types: Sequence[type[BaseException]]
    ) -> None:
        self.runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = self.runner.create_instance(det)
        activate = instance.activate

        def listen(act: Any) -> Any:
            done = activate(act)
            if done.HasField("failed"):
                self.failures.append(told(done.failed.failure)[:_LONGEST])
            return done

        instance.activate = listen  # type: ignore[method-assign]  # the SDK wants its own class
        return instance


def type_of(workflow: type) -> str | None:
    """The workflow type of a class; None where it has any. Raises ValueError for another class."""
    return workflows_of_sdk._Definition.must_from_class(workflow).name  # noqa: SLF001 - the SDK has no public way


def _told(failure: str) -> str:
    """What the SDK's core says in its own notation, as a sentence: the messages of its causes."""
    messages = [each.replace(r"\"", '"').replace(r"\n", " ") for each in _MESSAGE.findall(failure)]
    return (": ".join(messages) or failure)[:_LONGEST]
