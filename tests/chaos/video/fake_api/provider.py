"""The way of one request through the provider: refused, hit by faults, held, billed, answered."""

import asyncio
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from tests.chaos.video.fake_api import replies
from tests.chaos.video.fake_api.api_request import ApiRequest
from tests.chaos.video.fake_api.bills import (
    Billed,
    BillsWriter,
    Call,
    Item,
    Outcome,
    now,
)
from tests.chaos.video.fake_api.breakpoints import Arrival, Breakpoints
from tests.chaos.video.fake_api.media import make_image, make_video, sha256_hex
from tests.chaos.video.fake_api.replies import Reply
from tests.chaos.video.fake_api.rule_book import RuleBook
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.chaos.video.fake_api.settings import Latencies, Prices
from tests.chaos.video.fake_api.spoiling import spoil
from tests.chaos.video.fake_api.state import (
    Operation,
    Operations,
    new_file_id,
    new_operation_name,
    operation_id,
)

_BLOCKED_WORD = "[blocked]"
_PLANNED_OUTCOMES = {
    FaultKind.RAI_FILTERED: Outcome.FILTERED,
    FaultKind.FAILED_OPERATION: Outcome.FAILED,
    FaultKind.UNDELIVERED: Outcome.UNDELIVERED,
    FaultKind.EXPIRED: Outcome.EXPIRED,
    FaultKind.INLINE: Outcome.INLINE,
}
_GOES_ON = {FaultKind.DELAY, *_PLANNED_OUTCOMES}


class _Work(BaseModel):
    """What a request leads to: a reply, and where it costs something, the bill for it."""

    model_config = ConfigDict(frozen=True)

    reply: Reply
    bill: Billed | None = None


class Provider:
    """Takes valid requests through the same steps, in this order.

    Rule before billing, breakpoint before billing, latency, bill, rule after billing,
    breakpoint after billing. A refused request (key, form, safety, unknown name) meets neither
    rules nor breakpoints. A redirected one needs no key and meets no rules: it met them where it
    came from.
    """

    def __init__(
        self, bills: BillsWriter, operations: Operations, latencies: Latencies, prices: Prices
    ) -> None:
        self.latencies = latencies
        self.rules = RuleBook()
        self.breakpoints = Breakpoints()
        self._bills = bills
        self._operations = operations
        self._prices = prices

    def rendering(self) -> tuple[Operation, ...]:
        """The operations that are not done, oldest first."""
        return tuple(each for each in self._operations.all() if not self._done(each))

    async def serve(self, request: ApiRequest, connected: Callable[[], bool]) -> Reply:
        """The reply to a request whose receipt is in the bills.

        `connected` asks whether the client is still there: only breakpoints report it, the work is
        done and billed without regard to it. Raises BillsError if a bill cannot be recorded.
        """
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        request = self._with_what_is_known(request)
        fault = await self._planned_fault(request, When.BEFORE_BILLING)
        if fault is not None and fault.kind not in _GOES_ON:
            return spoil(self._work(request, Outcome.OK).reply, fault, request)
        await self._pause(request, When.BEFORE_BILLING, connected)
        await asyncio.sleep(self._latency_seconds(request.call))
        work = self._planned_work(request, fault)
        if work.bill is not None:
            await self._bill(work.bill)
            request = request.model_copy(update={"operation": work.bill.operation})
        fault = await self._planned_fault(request, When.AFTER_BILLING)
        if fault is not None and fault.kind is not FaultKind.DELAY:
            return spoil(work.reply, fault, request)
        await self._pause(request, When.AFTER_BILLING, connected)
        return work.reply

    def _refusal(self, request: ApiRequest) -> Reply | None:
        if request.key_given_away or not (request.key_valid or request.redirected):
            return replies.key_given_away() if request.redirected else replies.invalid_key()
        if request.problem is not None:
            return replies.invalid_request(request.problem)
        prompt = request.prompt or ""
        if _BLOCKED_WORD in prompt:
            image = request.call is Call.IMAGE
            return replies.blocked_image(prompt) if image else replies.blocked_video()
        if request.call is Call.POLL and self._gone(self._operation(request)):
            return replies.not_found("Operation not found.")
        if request.call is Call.DOWNLOAD:
            operation = self._operation(request)
            if operation is None or not self._done(operation):
                return replies.not_found(f"File {request.file} not found.")
        return None

    async def _planned_fault(self, request: ApiRequest, when: When) -> FaultRule | None:
        if request.redirected:
            return None
        fault = self.rules.hit(request.call, when, request.prompt or "", request.model)
        if fault is not None and fault.kind is FaultKind.DELAY:
            await asyncio.sleep(fault.delay_seconds)
        return fault

    async def _pause(self, request: ApiRequest, when: When, connected: Callable[[], bool]) -> None:
        await self.breakpoints.pass_through(
            Arrival(
                call=request.call,
                when=when,
                prompt=request.prompt or "",
                request_id=request.request_id,
                operation=request.operation,
                connected=connected,
            )
        )

    def _latency_seconds(self, call: Call) -> float:
        latencies = self.latencies
        return {
            Call.IMAGE: latencies.image_seconds,
            Call.VIDEO_START: latencies.video_start_seconds,
            Call.POLL: latencies.poll_seconds,
            Call.DOWNLOAD: latencies.download_seconds,
        }[call]

    def _planned_work(self, request: ApiRequest, fault: FaultRule | None) -> _Work:
        if fault is None or fault.kind not in _PLANNED_OUTCOMES:
            return self._work(request, Outcome.OK)
        work = self._work(request, _PLANNED_OUTCOMES[fault.kind])
        reply = work.reply.model_copy(update={"kind": fault.kind.value})
        bill = work.bill
        if bill is not None and fault.kind is FaultKind.FAILED_OPERATION:
            bill = bill.model_copy(update={"error_code": fault.code})
        return _Work(reply=reply, bill=bill)

    def _work(self, request: ApiRequest, outcome: Outcome) -> _Work:
        """Everything the request leads to, not yet billed or known."""
        if request.call is Call.IMAGE:
            return self._image(request, outcome)
        if request.call is Call.VIDEO_START:
            return self._video_start(request, outcome)
        operation = self._operation(request)
        if operation is None:
            return _Work(reply=replies.not_found("It is gone."))
        if request.call is Call.DOWNLOAD:
            return _Work(reply=replies.video(operation.content()))
        done = self._done(operation)
        return _Work(reply=replies.done(operation) if done else replies.running(operation.name))

    def _image(self, request: ApiRequest, outcome: Outcome) -> _Work:
        prompt = request.prompt or ""
        if outcome is not Outcome.OK:
            return _Work(reply=replies.filtered_image(prompt))
        reply = replies.image(prompt, make_image(request.request_id, prompt))
        bill = Billed(
            at=now(),
            request_id=request.request_id,
            item=Item.IMAGE,
            model=request.model or "",
            prompt=prompt,
            amount_usd=self._prices.image_usd,
            sha256=reply.sha256,
        )
        return _Work(reply=reply, bill=bill)

    def _video_start(self, request: ApiRequest, outcome: Outcome) -> _Work:
        model, prompt = request.model or "", request.prompt or ""
        name = new_operation_name(model)
        content = make_video(operation_id(name), prompt)
        bill = Billed(
            at=now(),
            request_id=request.request_id,
            item=Item.VIDEO,
            model=model,
            prompt=prompt,
            amount_usd=self._prices.video_usd * outcome.charged,
            sha256=sha256_hex(content) if outcome.delivers else None,
            operation=name,
            file=new_file_id() if outcome is Outcome.OK else None,
            outcome=outcome,
        )
        return _Work(reply=replies.running(name), bill=bill)

    async def _bill(self, bill: Billed) -> None:
        await self._bills.append(bill)
        if bill.item is Item.VIDEO:
            operation = Operation.of(bill)
            self._operations.add(operation)
            self.breakpoints.started(operation)

    def _operation(self, request: ApiRequest) -> Operation | None:
        if request.operation is not None:
            return self._operations.named(request.operation)
        return None if request.file is None else self._operations.of_file(request.file)

    def _with_what_is_known(self, request: ApiRequest) -> ApiRequest:
        """With the operation that a poll or download is about, and the prompt of its video."""
        operation = self._operation(request)
        if operation is None:
            return request
        return request.model_copy(update={"operation": operation.name, "prompt": operation.prompt})

    def _gone(self, operation: Operation | None) -> bool:
        """Whether it cannot be found: there was none, or it has expired."""
        if operation is None:
            return True
        return operation.outcome is Outcome.EXPIRED and self._done(operation)

    def _done(self, operation: Operation) -> bool:
        rendered = operation.rendered(now(), self.latencies.video_seconds)
        return rendered and not self.breakpoints.keeps(operation)
