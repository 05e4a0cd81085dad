"""Breakpoints: stop one request, or one rendering, at a known point until it is resumed."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from enum import StrEnum
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import When
from tests.chaos.video.fake_api.state import Operation


class BreakAt(StrEnum):
    """What a breakpoint waits for: a request of one kind, or (`video`) a rendering."""

    IMAGE = "image"
    VIDEO_START = "video_start"
    POLL = "poll"
    DOWNLOAD = "download"
    VIDEO = "video"


class BreakpointState(StrEnum):
    """Still waiting for its request, stopping it, or done with it."""

    SET = "set"
    REACHED = "reached"
    RESUMED = "resumed"


class BreakpointSpec(BaseModel):
    """Which request to stop: the first that matches, after `skip` others that match.

    `match` is a part of the prompt (for a poll or download: of its video's prompt). `when` has
    no meaning for a rendering.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    call: BreakAt
    when: When = When.BEFORE_BILLING
    match: str = ""
    skip: NonNegativeInt = 0


class BreakpointStatus(BaseModel):
    """A breakpoint as it is now.

    `request_id` is the request stopped (for a rendering: the one that started it), `operation`
    its operation where there is one. `client_connected` is None while nothing is stopped, and
    for a rendering.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    state: BreakpointState
    request_id: str | None = None
    operation: str | None = None
    client_connected: bool | None = None


class Arrival(BaseModel):
    """A request at a point where a breakpoint may stop it; `connected` asks whether its client is
    still there.
    """

    model_config = ConfigDict(frozen=True)

    call: Call
    when: When
    prompt: str
    request_id: str
    operation: str | None
    connected: Callable[[], bool]


class _Breakpoint:
    """One breakpoint with its progress."""

    def __init__(self, spec: BreakpointSpec) -> None:
        self.id = uuid4().hex
        self.spec = spec
        self.resumed = asyncio.Event()
        self.settled = asyncio.Event()
        """Once it has stopped something, or never will."""
        self._to_skip = spec.skip
        self._stopped: Arrival | Operation | None = None

    @property
    def waiting(self) -> bool:
        return self._stopped is None and not self.resumed.is_set()

    def keeps(self, operation: Operation) -> bool:
        """Whether it keeps this very rendering from being done."""
        stopped = isinstance(self._stopped, Operation) and self._stopped.name == operation.name
        return stopped and not self.resumed.is_set()

    def stop(self, what: Arrival | Operation) -> bool:
        """Stop `what`, unless it is one of those to skip."""
        if self._to_skip > 0:
            self._to_skip -= 1
            return False
        self._stopped = what
        self.settled.set()
        return True

    def resume(self) -> None:
        """Let what it stopped go on, and stop nothing more."""
        self.resumed.set()
        self.settled.set()

    def status(self) -> BreakpointStatus:
        what = self._stopped
        if self.resumed.is_set():
            state = BreakpointState.RESUMED
        else:
            state = BreakpointState.SET if what is None else BreakpointState.REACHED
        status = BreakpointStatus(id=self.id, state=state)
        if isinstance(what, Operation):
            found = {"request_id": what.request_id, "operation": what.name}
            return status.model_copy(update=found)
        if isinstance(what, Arrival):
            return status.model_copy(
                update={
                    "request_id": what.request_id,
                    "operation": what.operation,
                    "client_connected": what.connected(),
                }
            )
        return status


class Breakpoints:
    """Those of this process. They live in memory only, and stop one request each."""

    def __init__(self) -> None:
        self._known: dict[str, _Breakpoint] = {}

    def set(self, spec: BreakpointSpec, rendering: Iterable[Operation]) -> str:
        """Set one; its id. `rendering` are the operations not done yet, oldest first."""
        breakpoint_ = _Breakpoint(spec)
        free = [operation for operation in rendering if not self.keeps(operation)]
        self._known[breakpoint_.id] = breakpoint_
        if spec.call is BreakAt.VIDEO:
            for operation in free:
                if spec.match in operation.prompt and breakpoint_.stop(operation):
                    break
        return breakpoint_.id

    def status(self, breakpoint_id: str) -> BreakpointStatus | None:
        """How it is now; None if there is none of that id."""
        known = self._known.get(breakpoint_id)
        return None if known is None else known.status()

    async def settle(self, breakpoint_id: str, longest_seconds: float) -> None:
        """Wait until it is reached or was resumed, but for no longer than this."""
        if known := self._known.get(breakpoint_id):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(longest_seconds):
                    await known.settled.wait()

    def resume(self, breakpoint_id: str) -> bool:
        """Let what it stopped go on, and stop nothing more; False if there is none of that id."""
        known = self._known.get(breakpoint_id)
        if known is None:
            return False
        known.resume()
        return True

    def resume_all(self) -> None:
        """Let everything go on."""
        for each in self._known.values():
            each.resume()

    async def pass_through(self, request: Arrival) -> None:
        """Return at once, or when the breakpoint that stops this request is resumed."""
        for each in self._known.values():
            wanted = each.spec
            matches = (
                wanted.call.value == request.call.value
                and wanted.when is request.when
                and wanted.match in request.prompt
            )
            if each.waiting and matches and each.stop(request):
                await each.resumed.wait()
                return

    def started(self, operation: Operation) -> None:
        """Offer a rendering that begins to the breakpoints that wait for one."""
        for each in self._known.values():
            matches = each.spec.call is BreakAt.VIDEO and each.spec.match in operation.prompt
            if each.waiting and matches and each.stop(operation):
                return

    def keeps(self, operation: Operation) -> bool:
        """Whether a breakpoint keeps this rendering from being done."""
        return any(each.keeps(operation) for each in self._known.values())
