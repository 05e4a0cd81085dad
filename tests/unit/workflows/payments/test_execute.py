"""Each step is paid for once, wherever a crash, a full disk or a silent provider comes between."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from chaos.process.waiting import wait_until
from workflows import policies
from workflows.api_errors import ApiError, Outcome
from workflows.artifacts import ArtifactError, ArtifactStore
from workflows.models import CHARACTER, Artifact, Item, PaidOrder, video_step
from workflows.payments import execute
from workflows.payments.calls import Answer, Granted, Limits, PaidCall, PaidRequest, State
from workflows.payments.execute import PaidButLostError, PaidCalls, PaidResult, UndecidedError
from workflows.payments.journal import BudgetExceededError, JournalError, PaymentJournal
from workflows.payments.replies import ImageReplies, VideoReplies
from workflows.settings import Settings
from workflows.success_replies import Image
from workflows.transport import MaySend

FOX = Image(b"a fox", "image/png")
NAME = "models/m/operations/1"
STEP = video_step(1)
FREE = Decimal(0)
IMAGE_ORDER = PaidOrder(operation_id="op", prompt="a fox")
VIDEO_ORDER = PaidOrder(operation_id="op", prompt="it waves")
IMAGE = PaidRequest("op", CHARACTER, Item.IMAGE, "m", Decimal("0.039"), deadline_seconds=60)
VIDEO = PaidRequest("op", STEP, Item.VIDEO, "m", Decimal("1.20"), deadline_seconds=60)
REFUSED = ApiError("RequestRefused", "the API refused it.", Outcome.PERMANENT)
BUSY = ApiError("Unavailable", "the API did not take it.", Outcome.RETRYABLE)
NO_REPLY = ApiError("NoReply", "it had no reply.", Outcome.IN_DOUBT)
BROKEN = JournalError("the journal cannot be written.", lasting=False)
FULL = ArtifactError("the folder is full.")


class CrashError(BaseException):
    """The end of a process: nothing that comes after it is done."""


@dataclass
class Provider:
    """Stands in for the client: asks whether it may send, then does what is planned."""

    events: list[str] = field(default_factory=list)
    before: Callable[[], Awaitable[object]] | None = None
    after: Callable[[], Awaitable[object]] | None = None
    failures: list[BaseException] = field(default_factory=list)

    async def image(self, may_send: MaySend) -> Image:
        await self._serve(may_send)
        return FOX

    async def video(self, may_send: MaySend) -> str:
        await self._serve(may_send)
        return NAME

    async def _serve(self, may_send: MaySend) -> None:
        if self.before:
            await self.before()
        may_send()
        self.events.append("sent")
        if self.after:
            await self.after()
        if self.failures:
            raise self.failures.pop(0)

    @property
    def sent(self) -> int:
        return self.events.count("sent")


@dataclass
class Bench:
    """Paid calls with all that it stands on. `grace_seconds` 0: a deadline is a deadline."""

    folder: Path
    journal: PaymentJournal
    store: ArtifactStore
    settings: Settings
    provider: Provider = field(default_factory=Provider)

    def paid_calls(self, **settings: object) -> PaidCalls:
        return PaidCalls(self.journal, self.store, self.settings.model_copy(update=settings))

    async def image(self, order: PaidOrder = IMAGE_ORDER, **settings: object) -> PaidResult:
        replies = ImageReplies(self.store)
        return await self.paid_calls(**settings).execute(IMAGE, order, replies, self.provider.image)

    async def buy(self, request: PaidRequest) -> PaidResult:
        replies = VideoReplies(self.store)
        return await self.paid_calls().execute(request, VIDEO_ORDER, replies, self.provider.video)

    async def video(self, order: PaidOrder = VIDEO_ORDER, **settings: object) -> PaidResult:
        replies = VideoReplies(self.store)
        return await self.paid_calls(**settings).execute(VIDEO, order, replies, self.provider.video)

    def states(self, step: str = CHARACTER) -> Sequence[State]:
        return [call.state for call in self.journal.calls("op", step)]

    def intend(self, request: PaidRequest, *, overdue: bool = False) -> PaidCall:
        """Record an intent, as an attempt does that then dies."""
        seconds = -1.0 if overdue else 60.0
        late = PaidRequest(**{**vars(request), "deadline_seconds": seconds})
        answer = self.journal.reserve(late, Limits(in_doubt_allowed=9))
        assert isinstance(answer, Granted)
        return answer.call

    def files(self) -> dict[str, bytes]:
        """All but the notes of what was sent."""
        files = {path.name: path.read_bytes() for path in self.folder.glob("op/*")}
        return {name: data for name, data in files.items() if not name.endswith(".sent.note")}

    def put_back(self, copy: Path) -> None:
        """Replace the journal's file by a copy of it, under the worker that uses it."""
        for file in self.folder.glob("paid.db*"):
            file.unlink()
        copy.rename(self.folder / "paid.db")

    def copy(self) -> Path:
        """The journal as it is now."""
        copy = self.folder / f"copy-{len(list(self.folder.iterdir()))}"
        with (
            closing(sqlite3.connect(self.folder / "paid.db")) as ours,
            closing(sqlite3.connect(copy)) as other,
        ):
            ours.backup(other)
            other.execute("PRAGMA journal_mode = DELETE")
        return copy


@pytest.fixture
def bench(tmp_path: Path, clean_environment: pytest.MonkeyPatch) -> Iterator[Bench]:
    clean_environment.setattr(policies, "STORE_RETRY_INTERVAL", timedelta(milliseconds=1))
    journal = PaymentJournal.open(f"sqlite:///{tmp_path / 'paid.db'}", grace_seconds=0)
    settings = Settings(gemini_api_key=SecretStr("a-key"))
    yield Bench(tmp_path, journal, ArtifactStore(tmp_path), settings)
    journal.close()


def artifact_of(bill: PaidResult) -> Artifact:
    assert bill.call.artifact
    return bill.call.artifact


# What goes well


async def test_the_intent_is_on_record_when_the_request_leaves(bench: Bench) -> None:
    seen: list[Sequence[State]] = []

    async def look() -> None:
        seen.append(await asyncio.to_thread(bench.states))

    bench.provider.before = look
    await bench.image()
    assert seen == [[State.INTENT]]
    assert bench.states() == [State.DONE]


async def test_the_reply_is_on_disk_before_its_outcome_is_on_record(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, bytes]] = []
    record = bench.journal.record

    def watched(call: PaidCall, *, artifact: Artifact) -> PaidCall:
        seen.append(bench.files())
        return record(call, artifact=artifact)

    monkeypatch.setattr(bench.journal, "record", watched)
    await bench.image()
    assert seen == [{"character.png": b"a fox"}]


async def test_a_result_names_the_file_and_the_cost_and_nothing_is_sent_again(
    bench: Bench,
) -> None:
    bill = await bench.image()
    assert bench.store.load(artifact_of(bill)) == b"a fox"
    assert (bill.call.cost_usd, bill.possible_waste_usd) == (Decimal("0.039"), FREE)
    assert await bench.image() == bill
    assert bench.provider.sent == 1


async def test_a_video_is_known_by_the_providers_name_which_stays_on_disk(
    bench: Bench,
) -> None:
    bill = await bench.video()
    assert bill.call.provider_operation == NAME
    assert bench.files() == {".video-001.note": NAME.encode()}


# Crashes


async def test_a_request_under_way_is_left_alone(bench: Bench) -> None:
    call = bench.intend(IMAGE)
    with pytest.raises(UndecidedError) as raised:
        await bench.image()
    assert raised.value.call.settle_at == call.deadline_at
    assert bench.provider.sent == 0
    assert bench.states() == [State.INTENT]


async def test_a_request_whose_sender_died_is_sent_again_after_its_deadline(
    bench: Bench,
) -> None:
    bench.intend(IMAGE, overdue=True)
    bill = await bench.image()
    assert bench.states() == [State.IN_DOUBT, State.DONE]
    assert bill.possible_waste_usd == Decimal("0.039")
    assert bench.provider.sent == 1


async def test_a_request_whose_sender_died_waits_for_an_operator_who_wants_to_be_asked(
    bench: Bench,
) -> None:
    bench.intend(IMAGE, overdue=True)
    with pytest.raises(UndecidedError) as raised:
        await bench.image(in_doubt_policy="ask")
    assert (raised.value.call.settle_at, raised.value.call.ambiguous) == (None, 1)
    assert bench.provider.sent == 0


@pytest.mark.parametrize("is_in_doubt", [False, True])
async def test_an_image_on_disk_is_recorded_and_not_paid_for_again(
    bench: Bench, is_in_doubt: bool
) -> None:
    call = bench.intend(IMAGE)
    if is_in_doubt:
        bench.journal.doubt(call, "its sender died")
    ImageReplies(bench.store).put(call, FOX)
    bill = await bench.image()
    assert bench.store.load(artifact_of(bill)) == b"a fox"
    assert (bench.states(), bench.provider.sent) == ([State.DONE], 0)


async def test_a_reply_that_turns_up_after_its_deadline_still_counts(bench: Bench) -> None:
    call = bench.intend(VIDEO, overdue=True)
    VideoReplies(bench.store).put(call, NAME)
    bill = await bench.video(in_doubt_policy="ask")
    assert bill.call.provider_operation == NAME
    assert (bench.states(STEP), bench.provider.sent) == ([State.DONE], 0)


async def test_a_note_that_outlived_its_record_does_no_harm(bench: Bench) -> None:
    bill = await bench.video()
    VideoReplies(bench.store).put(bill.call, "models/m/operations/of-a-note")
    assert (await bench.video()).call.provider_operation == NAME
    assert bench.provider.sent == 1


async def test_a_crash_while_sending_leaves_the_intent(bench: Bench) -> None:
    bench.provider.failures = [CrashError()]
    with pytest.raises(CrashError):
        await bench.image()
    assert bench.states() == [State.INTENT]


async def test_a_late_reply_of_a_paused_sender_takes_nobodys_place(bench: Bench) -> None:
    """It wakes up with its reply when another has paid in its stead."""
    paused = bench.intend(IMAGE, overdue=True)
    bill = await bench.image()
    await bench.paid_calls()._keep(
        paused, Image(b"a late fox", "image/png"), ImageReplies(bench.store)
    )
    assert bench.states() == [State.LATE, State.DONE]
    assert bench.files() == {"character.png": b"a late fox", "character.2.png": b"a fox"}
    again = await bench.image()
    assert (again.call, again.possible_waste_usd) == (bill.call, Decimal("0.039"))
    assert bench.provider.sent == 1


async def test_a_late_reply_that_stands_in_for_a_failed_one_is_no_waste(bench: Bench) -> None:
    late = bench.intend(VIDEO, overdue=True)
    failed = (await bench.video()).call
    bench.journal.record(late, provider_operation="models/m/operations/late")
    bench.journal.refuse(failed, "VideoFailed")
    bill = await bench.video()
    assert (bill.call.number, bill.possible_waste_usd) == (late.number, FREE)


# What must be in order before anything is paid


async def test_a_file_without_any_record_is_told_before_anything_is_paid(
    bench: Bench,
) -> None:
    bench.store.save("op", "character.png", b"a fox of another journal")
    with pytest.raises(JournalError) as raised:
        await bench.image()
    assert not raised.value.lasting
    assert str(raised.value) == (
        "op/character.png exists, but the journal has no record of it, so "
        "PAYMENT_JOURNAL_URL may name another journal than before; correct it, or use a "
        "new operation id to pay for everything again."
    )
    assert (bench.states(), bench.provider.sent) == ([], 0)


@pytest.mark.parametrize("name", ["video-001.mp4", ".video-001.note"])
async def test_a_video_without_any_record_is_told_before_it_is_paid_for_again(
    bench: Bench, name: str
) -> None:
    bench.store.save("op", name, b"of another journal")
    with pytest.raises(JournalError, match="exists, but the journal has no record of it"):
        await bench.video()
    assert (bench.states(STEP), bench.provider.sent) == ([], 0)


async def test_a_video_is_not_begun_where_its_character_is_not_on_record(
    bench: Bench,
) -> None:
    made_from = replace(VIDEO, made_from=CHARACTER)
    with pytest.raises(JournalError) as raised:
        await bench.buy(made_from)
    assert not raised.value.lasting
    assert str(raised.value) == (
        "the journal has no record of the character that video-001 is to be made from; stop all "
        "work and restore its latest state."
    )
    assert (bench.states(STEP), bench.provider.sent) == ([], 0)

    await bench.image()
    assert (await bench.buy(made_from)).call.provider_operation == NAME


async def test_a_journal_other_than_that_of_the_artifacts_pays_for_nothing(
    bench: Bench,
) -> None:
    await bench.image()
    with closing(
        PaymentJournal.open(f"sqlite:///{bench.folder / 'other.db'}", grace_seconds=0)
    ) as other:
        strange = PaidCalls(other, bench.store, bench.settings)
        with pytest.raises(JournalError, match="belong to another payment journal") as raised:
            await strange.execute(
                VIDEO, VIDEO_ORDER, VideoReplies(bench.store), bench.provider.video
            )
    assert not raised.value.lasting
    assert bench.provider.sent == 1


async def test_a_request_that_cannot_be_noted_is_not_sent_and_in_no_doubt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = Failing(bench.store.save_note, FULL, times=1)
    monkeypatch.setattr(bench.store, "save_note", note)
    with pytest.raises(ArtifactError):
        await bench.image()
    assert (bench.states(), bench.provider.sent) == ([State.REFUSED], 0)
    assert (await bench.image()).possible_waste_usd == FREE


@pytest.mark.parametrize("note", [b"", b"\0", b"one", b"9" * 5_000, b" 1 "])
async def test_a_note_of_no_number_counts_as_one_request(bench: Bench, note: bytes) -> None:
    await bench.image()
    old = bench.copy()
    (bench.folder / "op/.character.sent.note").write_bytes(note)
    assert (await bench.image()).call.number == 1
    bench.put_back(old)
    with closing(sqlite3.connect(bench.folder / "paid.db")) as connection, connection:
        connection.execute("DELETE FROM paid_calls")
    (bench.folder / "op/character.png").unlink()
    with pytest.raises(JournalError, match="request 1 of character"):
        await bench.image()
    assert bench.provider.sent == 1


async def test_a_note_that_cannot_be_read_is_told(bench: Bench) -> None:
    await bench.image()
    (bench.folder / "op/.character.sent.note").write_bytes(b"\xff")
    with pytest.raises(ArtifactError) as raised:
        await bench.image()
    assert str(raised.value) == (
        "the note op/.character.sent.note cannot be read (it is not text); restore it."
    )


async def test_a_sender_that_wakes_up_late_takes_nothing_from_a_later_note(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = bench.intend(IMAGE, overdue=True)
    answers: list[Answer] = [Granted(paused)]
    reserve = bench.journal.reserve

    def earlier(request: PaidRequest, limits: Limits) -> Answer:
        return answers.pop() if answers else reserve(request, limits)

    assert (await bench.image()).call.number == 2
    (bench.folder / "op/character.2.png").rename(bench.folder / "aside.png")
    monkeypatch.setattr(bench.journal, "reserve", earlier)
    bench.provider.failures = [BUSY]
    with pytest.raises(ApiError):
        await bench.image()
    assert bench.store.read_note("op", "character.sent") == "2"


# An older copy of the journal in its place


async def test_a_copy_older_than_the_intent_pays_for_nothing_until_the_newest_state_is_back(
    bench: Bench,
) -> None:
    old = bench.copy()
    first = await bench.video()
    new = bench.copy()
    bench.put_back(old)
    with pytest.raises(JournalError) as raised:
        await bench.video()
    assert not raised.value.lasting
    assert "the journal has no record of it" in str(raised.value)
    bench.put_back(new)
    assert await bench.video() == first
    assert bench.provider.sent == 1


@pytest.mark.parametrize("buy", [Bench.image, Bench.video])
async def test_a_copy_older_than_the_reply_finds_it_on_disk(
    bench: Bench, buy: Callable[[Bench], Awaitable[PaidResult]]
) -> None:
    copies: list[Path] = []

    async def take() -> None:
        copies.append(await asyncio.to_thread(bench.copy))

    bench.provider.before = take
    first = await buy(bench)
    bench.put_back(copies[0])
    again = await buy(bench)
    assert again.call.provider_operation == first.call.provider_operation
    assert (again.possible_waste_usd, bench.provider.sent) == (FREE, 1)


async def test_a_copy_older_than_a_request_in_doubt_does_not_forget_the_doubt(
    bench: Bench,
) -> None:
    old = bench.copy()
    bench.provider.failures = [NO_REPLY]
    with pytest.raises(UndecidedError):
        await bench.video(in_doubt_policy="ask")
    bench.put_back(old)
    with pytest.raises(JournalError) as raised:
        await bench.video()
    assert str(raised.value) == (
        "the journal has no record of request 1 of video-001, which it granted; stop all work and "
        "restore its latest state."
    )
    assert (bench.provider.sent, raised.value.lasting) == (1, False)


async def test_a_reply_to_a_request_that_an_older_copy_forgot_waits_for_the_newest_state(
    bench: Bench,
) -> None:
    old = bench.copy()
    new: list[Path] = []

    async def lose() -> None:
        new.append(await asyncio.to_thread(bench.copy))
        await asyncio.to_thread(bench.put_back, old)

    async def find() -> None:
        await wait_until(lambda: bool(bench.files()), what="it is on disk", deadline_seconds=10)
        await asyncio.to_thread(bench.put_back, new[0])

    bench.provider.after = lose
    finding = asyncio.create_task(find())
    bill = await bench.video()
    await finding
    assert (bill.call.provider_operation, bench.states(STEP)) == (NAME, [State.DONE])


async def test_a_folder_that_cannot_take_the_reply_costs_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "FREE_BYTES", 2**62)
    with pytest.raises(ArtifactError, match="No space left on device"):
        await bench.image()
    assert (bench.states(), bench.provider.sent) == ([], 0)


async def test_without_the_journal_nothing_is_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BROKEN

    monkeypatch.setattr(bench.journal, "reserve", fail)
    with pytest.raises(JournalError, match="cannot be written"):
        await bench.image()
    assert (bench.states(), bench.provider.sent) == ([], 0)


async def test_beyond_the_budget_nothing_is_sent(bench: Bench) -> None:
    with pytest.raises(BudgetExceededError):
        await bench.image(budget_usd=Decimal("0.038"))
    assert (bench.states(), bench.provider.sent) == ([], 0)


# Replies that cannot be stored at once


class Failing:
    """A method that fails some times before it works. `seen` counts its calls."""

    def __init__(self, real: Callable[..., object], error: Exception, times: int) -> None:
        self.real = real
        self.error = error
        self.left = times
        self.seen = 0

    def __call__(self, *args: object, **names: object) -> object:
        self.seen += 1
        if self.left:
            self.left -= 1
            raise self.error
        return self.real(*args, **names)


async def test_a_reply_waits_for_its_journal(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Failing(bench.journal.record, BROKEN, times=3)
    monkeypatch.setattr(bench.journal, "record", record)
    await bench.image()
    assert (record.seen, bench.provider.sent, bench.states()) == (4, 1, [State.DONE])


async def test_a_reply_waits_for_room_on_the_disk(bench: Bench) -> None:
    replies = ImageReplies(bench.store)
    put = Failing(replies.put, FULL, times=3)
    object.__setattr__(replies, "put", put)
    await bench.paid_calls().execute(IMAGE, IMAGE_ORDER, replies, bench.provider.image)
    assert (put.seen, bench.provider.sent, bench.states()) == (4, 1, [State.DONE])
    assert bench.files() == {"character.png": b"a fox"}


async def test_a_reply_that_finds_no_place_in_time_is_told_with_its_name(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Failing(bench.journal.record, BROKEN, times=1)
    monkeypatch.setattr(bench.journal, "record", record)
    monkeypatch.setattr(policies, "STORE_PATIENCE", timedelta(seconds=-1))
    with pytest.raises(PaidButLostError) as raised:
        await bench.video()
    assert str(raised.value) == (
        "the video-001 of op is paid for and could not be stored: the journal cannot be written. "
        f"The provider calls it {NAME}."
    )


# Failures of the request


@pytest.mark.parametrize("error", [REFUSED, BUSY], ids=lambda error: error.code)
async def test_a_request_that_was_not_accepted_is_refused_and_wastes_nothing(
    bench: Bench, error: ApiError
) -> None:
    bench.provider.failures = [error]
    with pytest.raises(ApiError) as raised:
        await bench.image()
    assert raised.value is error
    (call,) = bench.journal.calls("op")
    assert (call.state, call.reason) == (State.REFUSED, str(error))

    bill = await bench.image(in_doubt_policy="ask")
    assert bench.states() == [State.REFUSED, State.DONE]
    assert (bill.call.number, bill.possible_waste_usd) == (2, FREE)


async def test_a_request_without_a_reply_is_sent_again_once_and_then_asked_about(
    bench: Bench,
) -> None:
    bench.provider.failures = [NO_REPLY, NO_REPLY]
    with pytest.raises(ApiError) as first:
        await bench.video()
    assert first.value is NO_REPLY
    (call,) = bench.journal.calls("op")
    assert (call.state, call.reason) == (State.IN_DOUBT, "it had no reply.")
    for _ in range(2):
        with pytest.raises(UndecidedError) as raised:
            await bench.video()
        assert raised.value.call.ambiguous == 2
    assert bench.provider.sent == 2


async def test_an_operator_is_asked_at_once_and_may_have_it_sent_again(
    bench: Bench,
) -> None:
    bench.provider.failures = [NO_REPLY]
    with pytest.raises(UndecidedError) as raised:
        await bench.video(in_doubt_policy="ask")
    assert str(raised.value) == (
        "the video of video-001 may have been paid for ($1.20), but no reply came: it had no reply."
    )
    allowed = VIDEO_ORDER.model_copy(update={"resends": 1})
    bill = await bench.video(allowed, in_doubt_policy="ask")
    assert (bill.call.number, bill.possible_waste_usd) == (2, Decimal("1.20"))


async def test_an_operator_may_know_the_name_of_what_was_made(bench: Bench) -> None:
    bench.provider.failures = [NO_REPLY]
    with pytest.raises(UndecidedError):
        await bench.video(in_doubt_policy="ask")
    known = VIDEO_ORDER.model_copy(update={"made_as": "models/m/operations/7"})
    bill = await bench.video(known, in_doubt_policy="ask")
    assert bill.call.provider_operation == "models/m/operations/7"
    assert (bill.possible_waste_usd, bench.provider.sent) == (FREE, 1)


@pytest.mark.parametrize(
    ("method", "error"), [("refuse", BUSY), ("doubt", NO_REPLY)], ids=["refuse", "doubt"]
)
async def test_a_failure_that_cannot_be_recorded_counts_as_one_that_may_be_billed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, method: str, error: ApiError
) -> None:
    monkeypatch.setattr(bench.journal, method, Failing(lambda: None, BROKEN, times=1))
    bench.provider.failures = [error]
    with pytest.raises(ApiError) as raised:
        await bench.image()
    assert raised.value is error
    assert bench.states() == [State.INTENT]


# Cancels


async def cancel_at(bench: Bench, reached: asyncio.Event) -> None:
    """Cancel a purchase when it has come that far."""
    attempt = asyncio.create_task(bench.image())
    await reached.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt


async def test_a_right_that_is_granted_to_a_canceled_attempt_is_given_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, asking, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    reserve = bench.journal.reserve

    def slow(request: PaidRequest, limits: Limits) -> Answer:
        loop.call_soon_threadsafe(asking.set)
        loop.call_soon_threadsafe(loop.call_soon, go_on.set)  # once the cancel is under way
        go_on.wait(10)
        return reserve(request, limits)

    monkeypatch.setattr(bench.journal, "reserve", slow)
    await cancel_at(bench, asking)
    (call,) = bench.journal.calls("op")
    assert (call.state, call.reason) == (State.REFUSED, "it was canceled before it was sent")
    assert bench.provider.sent == 0


async def test_a_request_that_is_canceled_before_it_leaves_is_recorded_as_never_sent(
    bench: Bench,
) -> None:
    connecting = asyncio.Event()

    async def connect() -> None:
        connecting.set()
        await asyncio.Event().wait()

    bench.provider.before = connect
    await cancel_at(bench, connecting)
    (call,) = bench.journal.calls("op")
    assert (call.state, call.reason) == (State.REFUSED, "it was canceled before it was sent")
    assert bench.provider.sent == 0


async def test_a_request_that_is_canceled_once_it_left_stays_open(bench: Bench) -> None:
    left = asyncio.Event()

    async def wait_for_reply() -> None:
        left.set()
        await asyncio.Event().wait()

    bench.provider.after = wait_for_reply
    await cancel_at(bench, left)
    assert (bench.states(), bench.provider.sent) == ([State.INTENT], 1)


# The last question before a request leaves


async def test_a_request_that_could_not_leave_in_its_time_is_not_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep_on() -> None:
        now = execute._uptime_seconds()
        monkeypatch.setattr(execute, "_uptime_seconds", lambda: now + 60)

    bench.provider.before = sleep_on
    with pytest.raises(ApiError, match="its deadline passed before it could be sent") as raised:
        await bench.image()
    assert (raised.value.code, raised.value.outcome) == ("NotSent", Outcome.RETRYABLE)
    assert (bench.states(), bench.provider.sent) == ([State.REFUSED], 0)


async def test_a_sender_that_was_paused_clears_the_doubt_about_what_it_did_not_send(
    bench: Bench,
) -> None:
    """Another paid in its stead, and when it wakes up it is certain that nothing was wasted."""
    paused = Provider(before=bench.image)
    no_time = PaidRequest(**{**vars(IMAGE), "deadline_seconds": 0.0})
    with pytest.raises(ApiError, match="was not sent"):
        await bench.paid_calls().execute(
            no_time, IMAGE_ORDER, ImageReplies(bench.store), paused.image
        )
    assert bench.states() == [State.REFUSED, State.DONE]
    assert (paused.sent, bench.provider.sent) == (0, 1)
    assert (await bench.image()).possible_waste_usd == FREE


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Path]:
    """A file that another process holds locked: the lock belongs to what opened the file."""
    path = tmp_path / "run.lock"
    handle = os.open(path, os.O_CREAT | os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield path
    os.close(handle)


def unlock(path: Path) -> None:
    """End the lock as the death of its holder does."""
    path.unlink()
    path.touch()


async def test_while_the_lock_is_held_it_pays(bench: Bench, lock: Path) -> None:
    await bench.image(pay_while_locked=lock)
    assert (bench.states(), bench.provider.sent) == ([State.DONE], 1)


@pytest.mark.parametrize("exists", [True, False])
async def test_without_a_lock_it_does_not_even_intend_to_pay(
    bench: Bench, tmp_path: Path, exists: bool
) -> None:
    free = tmp_path / "free.lock"
    if exists:
        free.touch()
    with pytest.raises(ApiError) as raised:
        await bench.image(pay_while_locked=free)
    assert (raised.value.code, raised.value.outcome) == ("NobodyInControl", Outcome.PERMANENT)
    assert str(raised.value) == (
        f"nothing was sent: no process holds the lock on {free}, which PAY_WHILE_LOCKED requires; "
        "the run that started this worker has ended."
    )
    assert (bench.states(), bench.provider.sent) == ([], 0)
    handle = os.open(free, os.O_CREAT | os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the look did not keep it
    finally:
        os.close(handle)


async def test_a_lock_that_goes_before_the_request_leaves_keeps_it_back(
    bench: Bench, lock: Path
) -> None:
    async def lose_it() -> None:
        unlock(lock)

    bench.provider.before = lose_it
    with pytest.raises(ApiError) as raised:
        await bench.image(pay_while_locked=lock)
    assert raised.value.code == "NobodyInControl"
    assert (bench.states(), bench.provider.sent) == ([State.REFUSED], 0)


# A video that is paid for and can be fetched no more


async def test_a_lost_video_is_bought_again_only_once_that_is_decided(
    bench: Bench,
) -> None:
    await bench.video()
    bench.journal.lose("op", STEP, NAME, "it expired.")
    with pytest.raises(UndecidedError) as raised:
        await bench.video(in_doubt_policy="resend", in_doubt_resends=9)
    assert (raised.value.call.lost, raised.value.call.reason) == (1, "it expired.")
    assert "can no longer be fetched: it expired." in str(raised.value)
    assert bench.provider.sent == 1

    bill = await bench.video(VIDEO_ORDER.model_copy(update={"rebuys": 1}))
    assert (bill.call.number, bill.possible_waste_usd) == (2, VIDEO.cost_usd)
    assert bench.states(STEP) == [State.LOST, State.DONE]
    assert bench.provider.sent == 2


async def test_a_decision_on_a_lost_video_does_not_allow_to_send_a_doubtful_one_again(
    bench: Bench,
) -> None:
    await bench.video()
    bench.journal.lose("op", STEP, NAME, "it expired.")
    bench.provider.failures = [NO_REPLY]
    with pytest.raises(UndecidedError) as raised:
        await bench.video(VIDEO_ORDER.model_copy(update={"rebuys": 1}), in_doubt_policy="ask")
    assert (raised.value.call.lost, raised.value.call.ambiguous) == (1, 1)


async def test_a_lost_video_that_is_there_after_all_is_the_outcome_again(
    bench: Bench,
) -> None:
    await bench.video()
    bench.journal.lose("op", STEP, NAME, "it was forbidden.")
    bill = await bench.video(VIDEO_ORDER.model_copy(update={"made_as": NAME}))
    assert (bill.call.number, bill.possible_waste_usd) == (1, FREE)
    assert (bench.states(STEP), bench.provider.sent) == ([State.DONE], 1)
