"""What the journal promises, on both of its databases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import OperationalError

from chaos.process.waiting import wait_until
from tests.integration.payments.shop import ANY, ARTIFACT, NONE_IN_DOUBT, PRICE, grant, image
from workflows.models import Item
from workflows.payments.calls import AlreadyPaid, Answer, Granted, Limits, Open, PaidCall, State
from workflows.payments.journal import (
    BudgetExceededError,
    JournalError,
    OtherPromptError,
    PaymentJournal,
)
from workflows.payments.tables import SCHEMA_VERSION

WANTED = {"character": "a fox", "video-001": "it jumps"}


def _states(journal: PaymentJournal) -> list[State]:
    return [call.state for call in journal.calls("op", "character")]


async def _when_settled(journal: PaymentJournal, limits: Limits) -> Answer:
    """The first answer that does not put the caller off."""
    answers: list[Answer] = []

    def is_settled() -> bool:
        answers.append(journal.reserve(image(), limits))
        last = answers[-1]
        return not (isinstance(last, Open) and last.call.settle_at)

    await wait_until(is_settled, what="the open call is settled", deadline_seconds=10)
    return answers[-1]


def test_a_request_is_granted_once_and_its_reply_found_by_all_later_ones(
    journal: PaymentJournal,
) -> None:
    call = grant(journal, image())
    journal.record(call, artifact=ARTIFACT)

    answer = journal.reserve(image(), ANY)

    assert isinstance(answer, AlreadyPaid)
    assert answer.call.artifact == ARTIFACT
    assert answer.call == journal.outcome("op", "character")
    assert (answer.call.number, answer.call.item, answer.call.cost_usd) == (1, Item.IMAGE, PRICE)
    assert answer.call.settled_at is not None
    assert answer.call.settled_at >= answer.call.sent_at


def test_nothing_is_granted_while_a_request_may_still_get_its_reply(
    journal: PaymentJournal,
) -> None:
    call = grant(journal, image())

    answer = journal.reserve(image(), ANY)

    assert isinstance(answer, Open)
    assert answer.call.settle_at is not None
    assert (answer.call.settle_at - call.deadline_at).total_seconds() == pytest.approx(0.2)
    assert (call.deadline_at - call.sent_at).total_seconds() == pytest.approx(60)
    assert answer.call.ambiguous == 0
    assert _states(journal) == [State.INTENT]


async def test_a_request_without_a_reply_becomes_in_doubt_and_another_is_granted(
    journal: PaymentJournal,
) -> None:
    first = grant(journal, image(deadline_seconds=0.1))
    put_off = journal.reserve(image(), ANY)
    assert isinstance(put_off, Open)
    assert put_off.call.settle_at is not None

    answer = await _when_settled(journal, ANY)

    assert isinstance(answer, Granted)
    assert answer.call.number == first.number + 1
    assert answer.call.sent_at >= put_off.call.settle_at
    assert _states(journal) == [State.IN_DOUBT, State.INTENT]


async def test_a_request_without_a_reply_waits_for_a_decision_where_limits_demand_one(
    journal: PaymentJournal,
) -> None:
    grant(journal, image(deadline_seconds=0))

    answer = await _when_settled(journal, NONE_IN_DOUBT)

    assert isinstance(answer, Open)
    assert answer.call.settle_at is None
    assert answer.call.ambiguous == 1
    assert "no outcome before the deadline" in answer.call.reason
    assert isinstance(journal.reserve(image(), ANY), Granted), "the decision was to send it again"


def test_a_refused_request_is_replaced_at_once_and_is_no_doubt(journal: PaymentJournal) -> None:
    journal.refuse(grant(journal, image()), "busy")

    second = grant(journal, image(), NONE_IN_DOUBT)

    assert second.number == 2
    assert _states(journal) == [State.REFUSED, State.INTENT]
    assert journal.calls()[0].reason == "busy"
    assert journal.billable_usd() == PRICE


def test_a_doubt_is_counted_and_told_with_its_reason(journal: PaymentJournal) -> None:
    opened = journal.doubt(grant(journal, image()), "the reply was cut off")

    assert opened is not None
    assert (opened.ambiguous, opened.reason) == (1, "the reply was cut off")
    assert opened.settle_at is None
    assert isinstance(journal.reserve(image(), NONE_IN_DOUBT), Open)
    assert journal.billable_usd() == PRICE


@pytest.mark.parametrize("first_to_answer", [1, 2])
def test_the_first_reply_on_record_is_the_outcome_and_both_count(
    journal: PaymentJournal, first_to_answer: int
) -> None:
    first = grant(journal, image())
    journal.doubt(first, "no reply")
    second = grant(journal, image())
    early, late = (first, second) if first_to_answer == 1 else (second, first)

    outcome = journal.record(early, artifact=ARTIFACT)
    assert isinstance(journal.reserve(image(), ANY), AlreadyPaid)

    assert journal.record(late, artifact=ARTIFACT).state is State.LATE
    assert journal.outcome("op", "character") == outcome
    assert journal.billable_usd() == 2 * PRICE


def test_a_late_reply_stands_in_where_the_outcome_was_made_in_vain(journal: PaymentJournal) -> None:
    first = grant(journal, image())
    journal.doubt(first, "no reply")
    second = grant(journal, image())
    journal.record(second, provider_operation="operations/2")
    late = journal.record(first, provider_operation="operations/1")

    journal.refuse(second, "VideoFailed")
    assert journal.outcome("op", "character") == late
    journal.refuse(late, "VideoFailed")

    assert journal.outcome("op", "character") is None
    assert isinstance(journal.reserve(image(), ANY), Granted)


def test_nobody_has_to_decide_once_there_is_an_outcome(journal: PaymentJournal) -> None:
    first = grant(journal, image())
    journal.doubt(first, "no reply")
    second = grant(journal, image())
    journal.record(first, artifact=ARTIFACT)

    assert journal.doubt(second, "no reply") is None


ACTS: Mapping[str, Callable[[PaymentJournal, PaidCall], object]] = {
    "doubt": lambda journal, call: journal.doubt(call, "no reply"),
    "record": lambda journal, call: journal.record(call, provider_operation="operations/1"),
    "record another": lambda journal, call: journal.record(call, provider_operation="operations/2"),
    "refuse": lambda journal, call: journal.refuse(call, "VideoFailed"),
}


@pytest.mark.parametrize(
    ("first", "then", "state", "name"),
    [
        ("doubt", "record", State.DONE, "operations/1"),
        ("doubt", "refuse", State.REFUSED, None),  # it never left
        ("record", "doubt", State.DONE, "operations/1"),
        ("record", "record another", State.DONE, "operations/1"),
        ("record", "refuse", State.REFUSED, "operations/1"),  # the provider made it in vain
        ("refuse", "doubt", State.REFUSED, None),
        ("refuse", "record", State.REFUSED, None),
    ],
)
def test_what_comes_later_of_the_same_request(
    journal: PaymentJournal, first: str, then: str, state: State, name: str | None
) -> None:
    call = grant(journal, image())
    ACTS[first](journal, call)
    ACTS[then](journal, call)

    (now,) = journal.calls()
    assert (now.state, now.provider_operation) == (state, name)
    assert journal.billable_usd() == (0 if state is State.REFUSED else PRICE)
    assert (journal.outcome("op", "character") is None) is (state is State.REFUSED)
    assert journal.doubt(call, "no reply") is None, "nobody has to decide any more"


def test_a_refused_request_may_be_sent_again(journal: PaymentJournal) -> None:
    call = grant(journal, image())
    journal.record(call, provider_operation="operations/1")
    journal.refuse(call, "VideoFailed")

    assert grant(journal, image(), NONE_IN_DOUBT).number == 2


def test_the_file_of_a_finished_video_is_kept_with_its_call(journal: PaymentJournal) -> None:
    journal.record(grant(journal, image()), provider_operation="operations/1")

    journal.keep("op", "character", ARTIFACT)

    outcome = journal.outcome("op", "character")
    assert outcome is not None
    assert (outcome.artifact, outcome.provider_operation) == (ARTIFACT, "operations/1")


def test_a_reply_to_a_request_the_journal_has_lost_stops_all_work(journal: PaymentJournal) -> None:
    call = grant(journal, image())
    lost = call.model_copy(update={"number": 2})

    for act in (lambda: journal.record(lost), lambda: journal.refuse(lost, "busy")):
        with pytest.raises(JournalError, match="no record of request 2 of character") as raised:
            act()
        assert not raised.value.lasting, "the newest state may be put back"
    assert _states(journal) == [State.INTENT]


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({**WANTED, "character": "a cat"}, id="another prompt"),
        pytest.param({**WANTED, "video-002": "it sleeps"}, id="one step more"),
        pytest.param({"character": "a fox"}, id="one step fewer"),
        pytest.param({}, id="no step"),
    ],
)
def test_other_prompts_are_refused_and_the_first_ones_stand(
    journal: PaymentJournal, wanted: dict[str, str]
) -> None:
    journal.register("op", WANTED)

    with pytest.raises(OtherPromptError):
        journal.register("op", wanted)

    journal.register("op", WANTED)
    journal.register("another-op", wanted)


def test_only_a_step_whose_requests_were_all_refused_gets_another_prompt(
    journal: PaymentJournal,
) -> None:
    journal.register("op", WANTED)
    fixed = {**WANTED, "character": "a cat"}
    call = grant(journal, image())
    with pytest.raises(OtherPromptError):
        journal.register("op", fixed)  # under way
    journal.doubt(call, "no reply")
    with pytest.raises(OtherPromptError):
        journal.register("op", fixed)  # may be paid for
    journal.refuse(call, "blocked")

    journal.register("op", fixed)

    grant(journal, image())
    journal.register("op", fixed)
    with pytest.raises(OtherPromptError):
        journal.register("op", WANTED)


def test_one_forbidden_prompt_leaves_all_prompts_as_they_were(journal: PaymentJournal) -> None:
    journal.register("op", WANTED)
    journal.refuse(grant(journal, image()), "blocked")

    with pytest.raises(OtherPromptError, match="another prompt for its video-001"):
        journal.register("op", {"character": "a cat", "video-001": "it sleeps"})

    grant(journal, image())
    journal.register("op", WANTED)


def test_a_call_that_would_pass_the_budget_is_not_recorded(journal: PaymentJournal) -> None:
    limits = Limits(in_doubt_allowed=1, budget_usd=2 * PRICE)
    journal.doubt(grant(journal, image("a"), limits), "no reply")
    grant(journal, image("b"), limits)

    with pytest.raises(BudgetExceededError, match=r"would cost \$0\.039, .* only \$0"):
        journal.reserve(image("c"), limits)

    assert [call.step for call in journal.calls()] == ["a", "b"]


def test_what_turns_out_not_to_be_billed_goes_back_into_the_budget(journal: PaymentJournal) -> None:
    limits = Limits(in_doubt_allowed=1, budget_usd=PRICE)
    journal.refuse(grant(journal, image("a"), limits), "busy")

    assert grant(journal, image("b"), limits).cost_usd == PRICE


def test_what_is_bought_is_had_although_the_budget_is_used_up(journal: PaymentJournal) -> None:
    journal.record(grant(journal, image()), artifact=ARTIFACT)

    answer = journal.reserve(image(), Limits(in_doubt_allowed=0, budget_usd=Decimal(0)))

    assert isinstance(answer, AlreadyPaid)


@pytest.mark.parametrize("cost", ["0.000001", "0.10", "1.20", "10.00", "1234567.123456789"])
def test_a_price_comes_back_to_the_last_digit(journal: PaymentJournal, cost: str) -> None:
    call = grant(journal, image(cost_usd=Decimal(cost)))

    assert str(call.cost_usd) == cost
    assert str(journal.billable_usd()) == cost


def test_sums_are_exact(journal: PaymentJournal) -> None:
    for number in range(30):
        grant(journal, image(f"step-{number}", cost_usd=Decimal("0.100000001")))

    assert journal.billable_usd() == Decimal("3.00000003")


def test_calls_come_in_the_order_they_were_made_of_all_or_one_operation(
    journal: PaymentJournal,
) -> None:
    for operation_id, step in (("b", "z"), ("a", "y"), ("b", "x")):
        grant(journal, image(step, operation_id=operation_id))

    assert [call.step for call in journal.calls()] == ["z", "y", "x"]
    assert [call.step for call in journal.calls("b")] == ["z", "x"]
    assert [call.step for call in journal.calls("b", "x")] == ["x"]


def test_a_journal_of_a_newer_program_is_refused_and_left_as_it_was(
    journal: PaymentJournal, url: str
) -> None:
    call = grant(journal, image())
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE account SET schema_version = 5"))
    engine.dispose()

    with pytest.raises(JournalError) as raised:
        PaymentJournal.open(url, grace_seconds=5)

    assert raised.value.lasting
    assert str(raised.value) == (
        "the journal has schema version 5 and this program supports 4; use the program that made "
        "it, "
        "or another PAYMENT_JOURNAL_URL."
    )
    assert journal.calls() == (call,)


NEW_IN = {2: ("paid_calls", "sender"), 4: ("account", "ledger_id")}
"""A column by the layout that brought it."""


def _as_of_layout(url: str, layout: int) -> None:
    """Turn a journal into one that a program of that layout has made."""
    columns = [*(column for since, column in NEW_IN.items() if since > layout)]
    columns += [("paid_calls", "token")] if layout < SCHEMA_VERSION else []
    engine = create_engine(url)
    with engine.begin() as connection:
        for table, column in columns:
            connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        version = text("UPDATE account SET schema_version = :layout")
        connection.execute(version, {"layout": layout})
    engine.dispose()


@pytest.mark.parametrize("layout", [1, SCHEMA_VERSION - 1])
def test_a_journal_of_an_older_program_gets_what_is_new_and_keeps_what_it_has(
    url: str, layout: int
) -> None:
    with closing(PaymentJournal.open(url, grace_seconds=5)) as journal:
        call = grant(journal, image())
    _as_of_layout(url, layout)

    with closing(PaymentJournal.open(url, grace_seconds=5, sender="me", make=False)) as again:
        assert again.calls() == (call,)
        assert grant(again, image("another")).sender == "me"
        with closing(PaymentJournal.open(url, grace_seconds=5)) as third:
            assert third.id == again.id


def test_a_program_of_the_layout_before_goes_on_with_what_it_has_in_hand(tmp_path: Path) -> None:
    """It was started before; what it executes is known: it names its columns."""
    url = f"sqlite:///{tmp_path / 'paid.db'}"
    with closing(PaymentJournal.open(url, grace_seconds=5)) as journal:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("SELECT id FROM account"))
            connection.execute(
                text(
                    "INSERT INTO paid_calls (operation_id, step, number, item, model, cost_usd, "
                    "state, sent_at, deadline_at, sender) VALUES ('op', 'character', 1, 'image', "
                    "'m', 39000000, 'intent', 0, 0, NULL)"
                )
            )
        engine.dispose()

        assert [call.number for call in journal.calls("op", "character")] == [1]


# The journal itself is another, or none


def test_one_that_is_not_there_is_not_made_where_it_must_not_be(url: str) -> None:
    with pytest.raises(JournalError) as raised:
        PaymentJournal.open(url, grace_seconds=5, make=False)
    assert str(raised.value).endswith("; restore its latest state.")
    assert not raised.value.lasting
    with closing(PaymentJournal.open(url, grace_seconds=5)) as journal:
        assert journal.is_empty()


def test_a_journal_has_an_id_that_stays_and_is_empty_until_an_operation_is_begun(
    journal: PaymentJournal, url: str
) -> None:
    assert journal.is_empty()
    assert journal.billable_usd() == 0
    assert not journal.calls()
    assert journal.outcome("op", "character") is None
    journal.register("op", WANTED)
    assert not journal.is_empty()
    with closing(PaymentJournal.open(url, grace_seconds=5, make=False)) as again:
        assert again.id == journal.id
    assert len(journal.id) == len(str(uuid4()))


def test_nothing_is_granted_by_another_journal_in_its_place(
    journal: PaymentJournal, url: str
) -> None:
    harms = {
        "UPDATE account SET ledger_id = 'another'": "was replaced by another one",
        "DELETE FROM account": "was replaced by another one",
        "ALTER TABLE account RENAME TO accounts": "has lost its tables",
    }
    for statement, words in harms.items():
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text(statement))
        engine.dispose()
        _asks_in_vain(journal, words)


def _asks_in_vain(journal: PaymentJournal, words: str) -> None:
    for act in (lambda: journal.reserve(image(), ANY), journal.calls, journal.billable_usd):
        with pytest.raises(JournalError) as raised:
            act()
        assert words in str(raised.value)
        assert not raised.value.lasting


def test_a_grant_that_the_database_did_not_confirm_is_withdrawn_and_no_doubt(
    journal: PaymentJournal, url: str
) -> None:
    @event.listens_for(journal._engine, "commit", once=True)
    def _loses_the_answer(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert driver
        driver.commit()
        raise OperationalError("COMMIT", {}, ConnectionResetError("connection lost"))

    with pytest.raises(JournalError):
        journal.reserve(image(), ANY)
    with closing(PaymentJournal.open(url, grace_seconds=5)) as other:
        assert isinstance(other.reserve(image(), ANY), Open), "nobody else knows that"

    again = grant(journal, image(), NONE_IN_DOUBT)

    assert again.number == 2
    assert _states(journal) == [State.REFUSED, State.INTENT]
    assert journal.calls()[0].reason == "it was never sent: the journal did not confirm it in time"
    assert journal.billable_usd() == PRICE


def test_the_open_calls_of_a_dead_sender_are_in_doubt_at_once_and_nobody_elses_are(
    journal: PaymentJournal, url: str
) -> None:
    dead = PaymentJournal.open(url, grace_seconds=5, sender="dead")
    grant(dead, image("open", deadline_seconds=60))
    done = grant(dead, image("done"))
    dead.record(done, artifact=ARTIFACT)
    grant(journal, image("another's", deadline_seconds=60))

    assert dead.give_up_on("dead") == 1

    states = {call.step: call.state for call in journal.calls()}
    assert states == {"open": State.IN_DOUBT, "done": State.DONE, "another's": State.INTENT}
    assert isinstance(journal.reserve(image("open"), Limits(in_doubt_allowed=1)), Granted)
    assert dead.give_up_on("dead") == 0
    dead.close()


# A video that can be fetched no more


def _video_bought(journal: PaymentJournal, name: str = "models/m/operations/1") -> None:
    call = grant(journal, image(), Limits(in_doubt_allowed=9, lost_allowed=9))
    journal.record(call, provider_operation=name)


def test_what_is_lost_still_counts_and_is_bought_again_by_permission_only(
    journal: PaymentJournal,
) -> None:
    _video_bought(journal)
    for _ in range(2):  # its report may be lost as well, and come again
        journal.lose("op", "character", "models/m/operations/1", "it expired.")

    answer = journal.reserve(image(), ANY)

    assert isinstance(answer, Open)
    assert (answer.call.lost, answer.call.ambiguous, answer.call.settle_at) == (1, 0, None)
    assert answer.call.reason == "it expired."
    assert journal.billable_usd() == PRICE
    allowed = Limits(in_doubt_allowed=0, lost_allowed=1)
    assert isinstance(journal.reserve(image(), allowed), Granted)
    assert journal.billable_usd() == 2 * PRICE


def test_it_is_known_whose_a_video_is(journal: PaymentJournal) -> None:
    _video_bought(journal)
    name = "models/m/operations/1"

    mine = journal.is_of_another(name, "op", "character")
    others = [
        journal.is_of_another(name, *own) for own in (("op", "video-001"), ("x", "character"))
    ]

    assert (mine, others) == (False, [True, True])
    assert not journal.is_of_another("models/m/operations/2", "x", "video-001")


def test_a_late_report_of_a_loss_takes_nothing_from_what_was_bought_since(
    journal: PaymentJournal,
) -> None:
    _video_bought(journal)
    journal.lose("op", "character", "models/m/operations/1", "it expired.")
    _video_bought(journal, "models/m/operations/2")

    journal.lose("op", "character", "models/m/operations/1", "it expired.")

    assert _states(journal) == [State.LOST, State.DONE]


def test_a_video_that_is_fetched_after_all_is_the_outcome_again(journal: PaymentJournal) -> None:
    _video_bought(journal)
    journal.lose("op", "character", "models/m/operations/1", "it was not found.")

    journal.keep("op", "character", ARTIFACT, "models/m/operations/2")
    assert _states(journal) == [State.LOST]
    journal.keep("op", "character", ARTIFACT, "models/m/operations/1")

    outcome = journal.outcome("op", "character")
    assert outcome is not None
    assert (outcome.state, outcome.artifact) == (State.DONE, ARTIFACT)


def test_what_is_lost_is_not_bought_again_beyond_the_budget(journal: PaymentJournal) -> None:
    _video_bought(journal)
    journal.lose("op", "character", "models/m/operations/1", "it expired.")

    with pytest.raises(BudgetExceededError):
        journal.reserve(image(), Limits(0, budget_usd=PRICE, lost_allowed=1))
