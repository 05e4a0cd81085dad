"""A worker process of campaigns: it takes as many cases as its machine has room for.

It polls two queues of the control cluster. On the one are workflows and short questions, so that
those never wait behind cases; on the other are cases, one of which is taken only when there is room
for it. Whatever ends the process, its cases run again elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import FixedSizeSlotSupplier, Worker, WorkerTuner

from chaos.environment.external import Connection, UnreachableError
from chaos.environment.target import Target
from chaos.experiment.admission import PAUSE_SECONDS, Admission
from chaos.process.programs import Binary
from chaos.process.reaper import Reaper
from chaos.search.campaign import names
from chaos.search.campaign.activities import Activities, Parts
from chaos.search.campaign.beat import INTERVAL
from chaos.search.campaign.cgroup import processors
from chaos.search.campaign.headroom import Headroom, Resources
from chaos.search.campaign.machine import Host
from chaos.search.campaign.workflow import CampaignWorkflow, runner
from chaos.search.crash.lanes import metered

_WORKFLOWS, _QUESTIONS = 20, 8
"""At once, of one process; they take next to nothing."""

_LOOK_SECONDS = 5.0
_PATIENCE = timedelta(seconds=5)
_LEAVING_SECONDS = 10.0
"""For handing back what runs. A control cluster that is away cannot be told."""


class ChangedError(Exception):
    """The code is no longer the one that is served. One sentence: what changed and what to do."""


@dataclass(frozen=True)
class Offer:
    """What a process serves, and where: the version `code` of the project's `targets`, up to
    `slots` cases at once.
    """

    connection: Connection
    queue: str
    project: Path
    targets: Mapping[str, Target]
    code: str
    slots: int
    cli: Binary
    say: Callable[[str], None]
    name: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}")

    def __str__(self) -> str:
        return (
            f"{self.name} serves {', '.join(self.targets)}, code {self.code}, to the queue "
            f"{self.queue} on {self.connection.address}: {self.most} "
            f"{'case' if self.most == 1 else 'cases'} at once."
        )

    @property
    def ports(self) -> Sequence[int]:
        """The fixed ports of its targets, which one machine has only once."""
        return sorted({target.port for target in self.targets.values() if target.port})

    @property
    def most(self) -> int:
        """How many cases it has at once: one where that needs a fixed port."""
        return 1 if self.ports else self.slots


async def serve(offer: Offer, parts: Parts, reaper: Reaper) -> signal.Signals:
    """Serve until SIGINT or SIGTERM; which of them it was. Cases that run then are handed back.

    Raises ChangedError when the project's code changes meanwhile, and ExternalError where the
    control cluster refuses it. One that is away is waited for.
    """
    _silence()
    async with metered() as meter:
        host = Host(offer.name, offer.most, reaper, offer.cli, meter)
        with closing(Resources(reaper.folder, offer.ports)) as resources:
            serving = _Serving(offer, host, resources)
            with _signals(serving.over):
                return await serving.run(parts)


@dataclass
class _Serving:
    """`over` is how it ends: by a signal, or by a change of the code."""

    offer: Offer
    host: Host
    resources: Resources
    over: asyncio.Future[signal.Signals] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    _is_away: bool = False

    async def run(self, parts: Parts) -> signal.Signals:
        """Connect, and serve. Raises ChangedError, ExternalError."""
        activities = self._activities(parts)
        try:
            while not self.over.done():
                connecting = asyncio.create_task(self._connected())
                await _first_of(self.over, connecting)
                if self.over.done():
                    connecting.cancel()
                else:
                    await self._work(connecting.result(), activities)
            return self.over.result()
        finally:
            await activities.close()

    async def _connected(self) -> Client:
        """Wait for the control cluster. Raises ExternalError where waiting does not help."""
        options = {**self.offer.connection.options, "identity": self.offer.name}
        connection = replace(self.offer.connection, options=options)
        while True:
            try:
                client = await connection.reach()
            except UnreachableError as error:
                self._tell_away(str(error))
            else:
                self._tell_back()
                return client
            await asyncio.sleep(_LOOK_SECONDS)

    async def _watch(self, client: Client) -> None:
        """Say when the control cluster is away; the SDK itself tries again and again."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await client.workflow_service.get_system_info(
                    GetSystemInfoRequest(), timeout=_PATIENCE
                )
            except RPCError as error:
                self._tell_away(self.offer.connection.refused(error))
            else:
                self._tell_back()

    def _tell_away(self, why: str) -> None:
        if not self._is_away:
            self.offer.say(f"{why} It is tried again and again.")
        self._is_away = True

    def _tell_back(self) -> None:
        if self._is_away:
            self.offer.say(f"Temporal at {self.offer.connection.address} answers again.")
        self._is_away = False

    async def _work(self, client: Client, activities: Activities) -> None:
        """Poll both queues until it is over, or the SDK gives up; what that saw is for the next
        connection to find out.
        """
        headroom = self._headroom()
        activities.is_up = headroom.is_up
        workers = self._workers(client, activities, headroom)
        watching = asyncio.create_task(self._watch(client))
        runs = [asyncio.create_task(worker.run()) for worker in workers]
        await _first_of(self.over, *runs)
        watching.cancel()
        if self.over.done():
            self.offer.say(f"{self.offer.name} ends, and hands back what it has begun.")
        headroom.close()
        ending = asyncio.gather(*(worker.shutdown() for worker in workers), return_exceptions=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(ending, _LEAVING_SECONDS)
        for run in runs:
            run.cancel()
        await asyncio.wait(runs, timeout=_LEAVING_SECONDS)
        if not self.over.done():
            await asyncio.sleep(_LOOK_SECONDS)

    def _workers(
        self, client: Client, activities: Activities, headroom: Headroom
    ) -> Sequence[Worker]:
        queue, code = self.offer.queue, self.offer.code
        few = FixedSizeSlotSupplier(_QUESTIONS)
        tuner = WorkerTuner.create_composite(
            workflow_supplier=few,
            activity_supplier=headroom,
            local_activity_supplier=few,
            nexus_supplier=few,
        )
        control = Worker(
            client,
            task_queue=names.control_queue(queue, code),
            workflows=[CampaignWorkflow],
            workflow_runner=runner(),
            activities=[activities.choose, activities.finish],
            max_concurrent_workflow_tasks=_WORKFLOWS,
            max_concurrent_activities=_QUESTIONS,
            identity=self.offer.name,
        )
        cases = Worker(
            client,
            task_queue=names.cases_queue(queue, code),
            activities=[activities.plan, activities.case],
            tuner=tuner,
            max_concurrent_activity_task_polls=1,
            max_heartbeat_throttle_interval=INTERVAL,
            default_heartbeat_throttle_interval=INTERVAL,
            identity=self.offer.name,
        )
        return control, cases

    def _activities(self, parts: Parts) -> Activities:
        offer = self.offer

        def leave(why: str) -> None:
            if not self.over.done():
                self.over.set_exception(ChangedError(why))

        return Activities(
            host=self.host,
            project=offer.project,
            targets=offer.targets,
            code=offer.code,
            parts=parts,
            leave=leave,
            say=offer.say,
        )

    def _headroom(self) -> Headroom:
        pause = PAUSE_SECONDS / max(1.0, processors() / 2)
        most = self.offer.most
        admission = Admission(self.host.meter, most, most, pause_seconds=pause)
        return Headroom(admission, self.resources.why_none, self.offer.say)


async def _first_of(*waited: asyncio.Future[Any]) -> None:
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)


@contextmanager
def _signals(over: asyncio.Future[signal.Signals]) -> Iterator[None]:
    """The first SIGINT or SIGTERM ends it in order; the next one ends the process."""
    loop, both = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)

    def end(number: signal.Signals) -> None:
        for each in both:
            loop.remove_signal_handler(each)
        if not over.done():
            over.set_result(number)

    for number in both:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    finally:
        for number in both:
            loop.remove_signal_handler(number)


def _silence() -> None:
    """The SDK writes a stack trace of each attempt that was handed back. What there is to say, we
    say.
    """
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
