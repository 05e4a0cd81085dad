"""When a worker is ready: what a target says about it, and what the server knows about pollers. A
worker may poll from any process of its tree, under any identity and version. So a poller that was
not there before a worker's start belongs to that worker, unless it is known to be another's.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

import psutil
from temporalio.api.enums.v1 import DescribeTaskQueueMode, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueVersionSelection
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from chaos.process.child import READY_INTERVAL_SECONDS, ChildError
from chaos.process.started import group_of
from chaos.process.waiting import DeadlineExceededError, wait_until

SETTLING_SECONDS = 1.0
"""How long a worker that polls for one kind of task, and names none, is given to poll for the other
one: all SDKs begin with both in the same moment.
"""

POLLED_DEADLINE_SECONDS = 30.0
"""For workers that are there already."""

_KINDS = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}
_PATIENCE = timedelta(seconds=1)
_ESTABLISHED = 1
"""As Linux's `/proc/net/tcp` numbers the states of a connection."""


@dataclass(frozen=True)
class Polls:
    """A worker is ready when it polls its own task queue and these other `queues`, for these
    `kinds` of task: `workflow`, `activity` or both. Without `kinds`: for whatever it polls; one
    that polls for one kind only is then waited for a second longer, for the other might follow.
    """

    kinds: Sequence[str] = ()
    queues: Sequence[str] = ()

    def __post_init__(self) -> None:
        unknown = set(self.kinds) - set(_KINDS)
        if unknown or isinstance(self.kinds, str):
            raise ValueError(f"kinds must be a list of {' and '.join(map(repr, _KINDS))}.")

    def are_met(self, pollers: Collection[Poller], queues: Sequence[str], *, settled: bool) -> bool:
        """Whether these suffice on all `queues`; `settled` where no more have come for a while."""
        wanted = set(self.kinds or _KINDS)
        for queue in queues:
            seen = {poller.kind for poller in pollers if poller.queue == queue}
            if not (wanted <= seen or (seen and settled and not self.kinds)):
                return False
        return True


@dataclass(frozen=True)
class LogLine:
    """A worker is ready when a line of its output matches this regular expression."""

    pattern: str

    def is_in(self, log: Path, begin: int) -> bool:
        """Whether a log has such a line after so many bytes."""
        with log.open("rb") as file:
            file.seek(begin)
            said = file.read().decode(errors="replace")
        return any(re.search(self.pattern, line) for line in said.splitlines())


@dataclass(frozen=True)
class OpenPort:
    """A worker is ready when a program listens at this port of 127.0.0.1."""

    number: int


Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Poller:
    """A poller that the server knows: its queue, its kind of task, and when it polled last."""

    queue: str
    kind: str
    identity: str
    version: str
    last_access: datetime

    @property
    def key(self) -> Key:
        """What distinguishes it from the others."""
        return self.queue, self.kind, self.identity, self.version

    def __str__(self) -> str:
        version = f" of version {self.version}" if self.version else ""
        return f"{self.identity}{version} ({self.kind} tasks of {self.queue})"


class Whose(Enum):
    """To whom an identity belongs."""

    OWN = "own"
    ANOTHERS = "another's"
    UNKNOWN = "unknown"


@dataclass
class Arrival:
    """The start of one worker, leader of the process group `pid`, as its pollers tell of it.

    `before` are those that are not its own unless they poll again, and when they last did.
    Where the server did not answer then, `unseen_until` is the start: what polled before is not
    known. `is_connected` tells whether it is connected with the server. `is_alone` is False where
    other workers start meanwhile, so that a poller of an unknown identity may be theirs. Of one on
    the wire it is known when it was `begun_at`, and what has polled since.
    """

    before: dict[Key, datetime]
    whose: Callable[[str], Whose]
    is_connected: Callable[[], bool]
    is_alone: bool = True
    unseen_until: datetime | None = None
    begun_at: datetime | None = None
    pollers: Sequence[Poller] = ()
    _since: float | None = field(default=None, init=False)
    _kinds: frozenset[tuple[str, str]] = field(default=frozenset(), init=False)

    def look(self, pollers: Sequence[Poller], at: float) -> bool:
        """Take in what the server says at a moment; whether no more have come for a while."""
        self.pollers = pollers
        kinds = frozenset((poller.queue, poller.kind) for poller in self.counting())
        if kinds != self._kinds or self._since is None:
            self._kinds, self._since = kinds, at
        return at - self._since >= SETTLING_SECONDS

    def counting(self) -> list[Poller]:
        """The pollers that count as this worker's."""
        return [poller for poller in self.pollers if self.why_not(poller) is None]

    def why_not(self, poller: Poller) -> str | None:
        """Why a poller does not count; None where it does."""
        whose, before = self.whose(poller.identity), self.before.get(poller.key)
        if whose is Whose.ANOTHERS:
            return "is another process"
        if before is None and self.unseen_until is None:
            return None
        before = before or self.unseen_until or poller.last_access
        if whose is Whose.OWN and poller.key not in self.before:
            return None  # it was not seen before, and no other process has its pid
        if poller.last_access <= before:
            return "existed before the start, and has not polled since"
        # The poll of one that was killed ends a moment after it, and counts as an access.
        if whose is Whose.UNKNOWN and not self.is_connected():
            return "existed before the start, and the worker has no connection to the server"
        return None

    @property
    def identities(self) -> tuple[str, ...]:
        """The identities under which it polls, as far as they differ from those of others."""
        found = {poller.identity for poller in self.counting()}
        sure = {each for each in found if self.whose(each) is Whose.OWN or self.is_alone}
        return tuple(sorted(sure))

    def reasons(self, polls: Polls, queues: Sequence[str]) -> str:
        """What was needed, which pollers there are, and why none, or too few, count."""
        kinds = " and ".join(polls.kinds) or "workflow or activity"
        told = [f"It must poll {' and '.join(queues)} for {kinds} tasks"]
        if not self.pollers:
            told.append("no worker polls there")
        for each in self.pollers:
            counts = "counts" if each.queue in queues else "belongs to another queue"
            told.append(f"{each} {self.why_not(each) or counts}")
        return f"{'; '.join(told)}."


async def pollers_of(client: Client, queues: Iterable[str]) -> list[Poller] | None:
    """All recent pollers of these queues; None where the server does not answer."""
    found: list[Poller] = []
    service = client.workflow_service
    for queue in queues:
        plain = DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue)
        )
        try:
            routed = await service.describe_task_queue(plain, timeout=_PATIENCE)
            current = routed.versioning_info.current_deployment_version
            request = DescribeTaskQueueRequest(
                namespace=client.namespace,
                task_queue=TaskQueue(name=queue),
                # Of all partitions: the plain mode tells of the root's pollers only.
                api_mode=DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED,
                versions=TaskQueueVersionSelection(
                    unversioned=True,
                    all_active=True,
                    # The current version of a worker deployment is not among the active ones.
                    build_ids=[f"{current.deployment_name}:{current.build_id}"]
                    if current.build_id
                    else [],
                ),
                task_queue_types=_KINDS.values(),
                report_pollers=True,
            )
            described = await service.describe_task_queue(request, timeout=_PATIENCE)
        except RPCError:
            return None
        for version, info in described.versions_info.items():
            for name, kind in _KINDS.items():
                for poller in info.types_info[kind].pollers:
                    at = poller.last_access_time.ToDatetime(tzinfo=UTC)
                    found.append(Poller(queue, name, poller.identity, version, at))
    return found


async def until_polled(client: Client, queue: str) -> list[str]:
    """Wait until workers that nobody starts here are seen to poll a queue; their identities. Raises
    ChildError.
    """
    found: set[str] = set()

    async def are_there() -> bool:
        found.update(poller.identity for poller in await pollers_of(client, [queue]) or ())
        return bool(found)

    try:
        await wait_until(
            are_there,
            what=f"a worker polls {queue}",
            deadline_seconds=POLLED_DEADLINE_SECONDS,
            interval_seconds=READY_INTERVAL_SECONDS,
        )
    except DeadlineExceededError:
        raise ChildError(
            f"no worker polls the task queue {queue!r} of the namespace {client.namespace!r}: "
            "start your workers, or correct Target.task_queue."
        ) from None
    return sorted(found)


def whose(identity: str, leader: int) -> Whose:
    """To whom it belongs, if it is the SDK's own, `pid@host`, and of this machine; else unknown."""
    number, _, host = identity.partition("@")
    if not number.isdecimal() or host.partition("@")[0] != socket.gethostname():
        return Whose.UNKNOWN
    pid = int(number)
    if pid == leader or _is_below(pid, leader):
        return Whose.OWN
    # In a container of its own the host may have the same name, and other numbers.
    return Whose.ANOTHERS if psutil.pid_exists(pid) else Whose.UNKNOWN


def _is_below(pid: int, leader: int) -> bool:
    """Whether it is of the leader's process group, or descends from it."""
    try:
        return os.getpgid(pid) == leader or leader in (
            parent.pid for parent in psutil.Process(pid).parents()
        )
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def is_connected(leader: int, port: int) -> bool:
    """Whether a process of a worker has a connection to that port, wherever that is."""
    return any(port in _ports(pid) for pid in tree_of(leader))


def tree_of(leader: int) -> Sequence[int]:
    """A worker's processes: it, all that descend from it, and its process group."""
    try:
        below = {child.pid for child in psutil.Process(leader).children(recursive=True)}
    except psutil.NoSuchProcess:
        below = set()
    return sorted({leader, *below, *group_of(leader)})


def port_of(address: str) -> int:
    """That of `host:port`; 0 where it has none."""
    number = address.rpartition(":")[2]
    return int(number) if number.isdecimal() else 0


def _ports(pid: int) -> Iterator[int]:
    """Those to which a process is connected."""
    with contextlib.suppress(OSError):
        own, its = (Path(f"/proc/{each}/ns/net").readlink() for each in ("self", pid))
        if own != its:  # psutil reads the connections of this process's own network only
            yield from _ports_within(pid)
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return
    for each in connections:
        if each.status == psutil.CONN_ESTABLISHED:
            yield each.raddr[1]


def _ports_within(pid: int) -> Iterator[int]:
    """Those to which anybody in a process's network is connected."""
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, state, *_ = line.split()
        if int(state, 16) == _ESTABLISHED:
            yield int(remote.partition(":")[2], 16)


def claim(counted: Iterable[Poller], others: Iterable[Arrival]) -> None:
    """Mark these pollers as belonging to none of the workers that start meanwhile."""
    for other in others:
        other.before.update({poller.key: poller.last_access for poller in counted})


def noted(pollers: Iterable[Poller]) -> Mapping[Key, datetime]:
    """When each of them polled last."""
    return {poller.key: poller.last_access for poller in pollers}
