"""Holds: stop one request, or one rendering, at a known point until it is let go."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from enum import StrEnum
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from tests.chaos.video.fake_api.ledger import Call
from tests.chaos.video.fake_api.rules import When
from tests.chaos.video.fake_api.state import Operation


class HoldTarget(StrEnum):
    """What a hold waits for: a request of one kind, or (`video`) a rendering."""

    IMAGE = "image"
    VIDEO_START = "video_start"
    POLL = "poll"
    DOWNLOAD = "download"
    VIDEO = "video"


class HoldState(StrEnum):
    """Still waiting for its request, holding it, or let go."""

    WAITING = "waiting"
    HOLDING = "holding"
    RELEASED = "released"


class HoldRequest(BaseModel):
    """Which request to hold: the first that matches, after `skip` others that match.

    `match` is a part of the prompt (for a poll or download: of its video's prompt). `when` has
    no meaning for a rendering.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    call: HoldTarget
    when: When = When.BEFORE_BILLING
    match: str = ""
    skip: NonNegativeInt = 0


class HoldStatus(BaseModel):
    """A hold as it is now.

    `request_id` is the request caught (for a rendering: the one that started it), `operation`
    its operation where there is one. `client_connected` is None while nothing is caught, and
    for a rendering.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    state: HoldState
    request_id: str | None = None
    operation: str | None = None
    client_connected: bool | None = None


class Caught(BaseModel):
    """A request at a point where a hold may stop it; `connected` asks whether its client is
    still there.
    """

    model_config = ConfigDict(frozen=True)

    call: Call
    when: When
    prompt: str
    request_id: str
    operation: str | None
    connected: Callable[[], bool]


class _Hold:
    """One hold with its progress."""

    def __init__(self, request: HoldRequest) -> None:
        self.id = uuid4().hex
        self.request = request
        self.released = asyncio.Event()
        self.settled = asyncio.Event()
        """Set once it has caught something, or never will."""
        self._to_skip = request.skip
        self._caught: Caught | Operation | None = None

    @property
    def waiting(self) -> bool:
        return self._caught is None and not self.released.is_set()

    def holds(self, operation: Operation) -> bool:
        """Whether it keeps this very rendering from being done."""
        held = isinstance(self._caught, Operation) and self._caught.name == operation.name
        return held and not self.released.is_set()

    def catch(self, what: Caught | Operation) -> bool:
        """Take hold of `what`, unless it is one of those to skip."""
        if self._to_skip > 0:
            self._to_skip -= 1
            return False
        self._caught = what
        self.settled.set()
        return True

    def release(self) -> None:
        """Let go what it has, or catch nothing."""
        self.released.set()
        self.settled.set()

    def status(self) -> HoldStatus:
        what = self._caught
        if self.released.is_set():
            state = HoldState.RELEASED
        else:
            state = HoldState.WAITING if what is None else HoldState.HOLDING
        status = HoldStatus(id=self.id, state=state)
        if isinstance(what, Operation):
            found = {"request_id": what.request_id, "operation": what.name}
            return status.model_copy(update=found)
        if isinstance(what, Caught):
            return status.model_copy(
                update={
                    "request_id": what.request_id,
                    "operation": what.operation,
                    "client_connected": what.connected(),
                }
            )
        return status


class HoldBook:
    """The holds of this process. They live in memory only, and catch one request each."""

    def __init__(self) -> None:
        self._holds: dict[str, _Hold] = {}

    def add(self, request: HoldRequest, rendering: Iterable[Operation]) -> str:
        """Set a hold; its id. `rendering` are the operations not done yet, oldest first."""
        hold = _Hold(request)
        free = [operation for operation in rendering if not self.keeps(operation)]
        self._holds[hold.id] = hold
        if request.call is HoldTarget.VIDEO:
            for operation in free:
                if request.match in operation.prompt and hold.catch(operation):
                    break
        return hold.id

    def status(self, hold_id: str) -> HoldStatus | None:
        """The hold's state now; None if there is none of that id."""
        hold = self._holds.get(hold_id)
        return None if hold is None else hold.status()

    async def settle(self, hold_id: str, longest_seconds: float) -> None:
        """Wait until a hold has caught something or was released, but for no longer than this."""
        hold = self._holds.get(hold_id)
        if hold:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(longest_seconds):
                    await hold.settled.wait()

    def release(self, hold_id: str) -> bool:
        """Let go what the hold has, or let it catch nothing; False if there is no such hold."""
        hold = self._holds.get(hold_id)
        if hold is None:
            return False
        hold.release()
        return True

    def release_all(self) -> None:
        """Let everything go."""
        for hold in self._holds.values():
            hold.release()

    async def stop(self, request: Caught) -> None:
        """Return at once, or when the hold that catches this request is released."""
        for hold in self._holds.values():
            wanted = hold.request
            matches = (
                wanted.call.value == request.call.value
                and wanted.when is request.when
                and wanted.match in request.prompt
            )
            if hold.waiting and matches and hold.catch(request):
                await hold.released.wait()
                return

    def started(self, operation: Operation) -> None:
        """Offer a rendering that begins to the holds that wait for one."""
        for hold in self._holds.values():
            matches = (
                hold.request.call is HoldTarget.VIDEO and hold.request.match in operation.prompt
            )
            if hold.waiting and matches and hold.catch(operation):
                return

    def keeps(self, operation: Operation) -> bool:
        """Whether a hold keeps this rendering from being done."""
        return any(hold.holds(operation) for hold in self._holds.values())
