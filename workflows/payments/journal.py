"""The durable record of paid calls: an intent before each is sent, its outcome after the reply.

No provider lets a client make a paid call idempotent, so this record is what keeps a crash from
paying twice. A call is known by its operation and step, the same over attempts, workers and
submissions. Every change is one transaction, durable when it returns.

SQLite serves workers on one machine; PostgreSQL, by URL, workers on several. Times are the
database's own, so that the clocks of the workers do not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Self
from uuid import uuid4

from sqlalchemy import URL, Connection, Engine, and_, func, insert, not_, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from workflows.models import Artifact, OpenCall
from workflows.payments.calls import (
    OPEN,
    UNSETTLED,
    AlreadyPaid,
    Answer,
    Granted,
    Limits,
    Open,
    PaidCall,
    PaidRequest,
    State,
    open_call,
    outcome_of,
    was_refused,
)
from workflows.payments.engine import explain, explain_content, in_the_way, make_engine
from workflows.payments.tables import (
    BILLABLE,
    SCHEMA_VERSION,
    UPGRADES,
    account,
    metadata,
    paid_calls,
    prompts,
)


class JournalError(Exception):
    """The journal cannot be read or written, so nothing may be paid for.

    The message says what to do. `lasting` is False where another try may well succeed.
    """

    def __init__(self, message: str, *, lasting: bool) -> None:
        super().__init__(message)
        self.lasting = lasting


class BudgetExceededError(Exception):
    """A call would pass the budget; it was not sent."""


class OtherPromptError(Exception):
    """An operation id is used again with other prompts."""


_TABLES_LOCK = 72_331
"""Any number that no other program on the same database locks."""


class PaymentJournal:
    """Paid calls in a database. Every method blocks; threads may share it. Raises JournalError."""

    def __init__(self, engine: Engine, grace_seconds: float, sender: str | None = None) -> None:
        self._engine = engine
        self._grace_seconds = grace_seconds
        self._sender = sender
        self._id: str | None = None
        self._unanswered: set[str] = set()

    @classmethod
    def open(
        cls, url: str | URL, *, grace_seconds: float, sender: str | None = None, make: bool = True
    ) -> Self:
        """Connect, and make the tables where there are none and `make` allows it.

        `grace_seconds` is how long after a request's deadline its sender may still record the
        reply; `sender` names this process for `give_up_on`. Raises JournalError.
        """
        try:
            engine = make_engine(url, make=make)
            obstacle = in_the_way(url)
        except (SQLAlchemyError, ImportError, ValueError):
            raise JournalError(
                "PAYMENT_JOURNAL_URL is not a database URL; write "
                "sqlite:////path/to/file or postgresql+psycopg://user@host/name.",
                lasting=True,
            ) from None
        if obstacle:
            raise JournalError(
                f"the payment journal needs a file where the folder {obstacle} is; "
                "move that folder away.",
                lasting=True,
            )
        journal = cls(engine, grace_seconds, sender)
        try:
            journal._make_tables(make=make)
        except BaseException:
            journal.close()
            raise
        return journal

    def close(self) -> None:
        """Close all connections to the database."""
        self._engine.dispose()

    @property
    def id(self) -> str:
        """Unique to this journal; it never changes."""
        return self._id or ""

    def is_empty(self) -> bool:
        """Whether no operation was ever begun with it."""
        with self._transaction() as connection:
            tables = (prompts, paid_calls)
            return not any(connection.scalar(select(func.count()).select_from(t)) for t in tables)

    def register(self, operation_id: str, wanted: Mapping[str, str]) -> None:
        """Bind the steps of an operation to their prompts, permanently.

        Only a step that was never paid for and whose last request the provider refused may get
        another prompt: that is how a blocked one is fixed. Raises OtherPromptError.
        """
        with self._transaction() as connection:
            known = self._prompts(connection, operation_id)
            hashes = {step: _fingerprint(prompt) for step, prompt in wanted.items()}
            if not known:
                rows = [
                    {"operation_id": operation_id, "step": step, "prompt_sha256": digest}
                    for step, digest in hashes.items()
                ]
                if rows:
                    connection.execute(insert(prompts), rows)
                return
            for step in sorted(known.keys() | hashes.keys()):
                if known.get(step) == hashes.get(step):
                    continue
                if step not in known or step not in hashes:
                    raise _other_prompt(operation_id, step)
                if not was_refused(self._rows(connection, operation_id, step)):
                    raise _other_prompt(operation_id, step)
                connection.execute(
                    update(prompts)
                    .where(prompts.c.operation_id == operation_id, prompts.c.step == step)
                    .values(prompt_sha256=hashes[step])
                )

    def reserve(self, request: PaidRequest, limits: Limits) -> Answer:
        """Record the intent to send a request, unless the step has an outcome or an open call.

        An intent whose deadline has passed without an outcome becomes in doubt here. Raises
        BudgetExceededError, and JournalError where this is an older state of the journal: one that
        does not know of all that was sent. Where the answer to the commit is lost, nothing is sent,
        and what may be on record is withdrawn as soon as the journal answers.
        """
        token = str(uuid4())
        try:
            return self._reserve(request, limits, token)
        except JournalError:
            self._unanswered.add(token)
            raise

    def _reserve(self, request: PaidRequest, limits: Limits, token: str) -> Answer:
        with self._transaction() as connection:
            calls = self._rows(connection, request.operation_id, request.step)
            if len(calls) < request.sent:
                raise _older(f"request {request.sent} of {request.step}, which it granted")
            bought = outcome_of(calls)
            if bought:
                return AlreadyPaid(bought)
            now = _now(connection)
            if calls and calls[-1].state is State.INTENT:
                end = calls[-1].deadline_at.timestamp() + self._grace_seconds
                if now < end:
                    return Open(open_call(calls, settle_at=datetime.fromtimestamp(end, UTC)))
                calls = (
                    *calls[:-1],
                    self._set(
                        connection,
                        calls[-1],
                        state=State.IN_DOUBT,
                        reason="its sender recorded no outcome before the deadline",
                        settled_at=now,
                    ),
                )
            if not limits.allow(calls):
                return Open(open_call(calls, settle_at=None))
            made_from = request.made_from
            if made_from and not outcome_of(
                self._rows(connection, request.operation_id, made_from)
            ):
                raise _older(f"the {made_from} that {request.step} is to be made from")
            self._keep_budget(connection, request, limits)
            return Granted(self._intend(connection, request, len(calls) + 1, now, token))

    def record(
        self,
        call: PaidCall,
        *,
        provider_operation: str | None = None,
        artifact: Artifact | None = None,
    ) -> PaidCall:
        """Record a reply: the first on record is the outcome of its step, a later one comes late.

        Recording the same reply twice is as good as once.
        """
        with self._transaction() as connection:
            calls = self._rows(connection, call.operation_id, call.step)
            ours = _known(calls, call)
            if ours.state not in UNSETTLED:
                return ours
            return self._set(
                connection,
                ours,
                state=State.LATE if outcome_of(calls) else State.DONE,
                provider_operation=provider_operation,
                artifact=artifact.model_dump_json() if artifact else None,
                settled_at=_now(connection),
            )

    def lose(self, operation_id: str, step: str, provider_operation: str, reason: str) -> None:
        """Record that a video, which may have been billed, can be fetched no more.

        A late reply of the same step then stands as its outcome; without one somebody has to
        decide. Nothing changes where the outcome is another video by now.
        """
        self._end(State.LOST, operation_id, step, provider_operation, reason)

    def refund(self, operation_id: str, step: str, provider_operation: str, reason: str) -> None:
        """Record that the provider does not charge for a video, so that it may be started again.

        Nothing changes where the outcome is another video by now.
        """
        self._end(State.REFUSED, operation_id, step, provider_operation, reason)

    def refuse(self, call: PaidCall, reason: str) -> None:
        """Record that a request was not billed: never sent, not accepted, or made in vain."""
        self._settle(call, State.REFUSED, reason)

    def doubt(self, call: PaidCall, reason: str) -> OpenCall | None:
        """Record that a request has ended and may have been billed; how its step stands.

        None where nobody has to decide: the step has an outcome, or nothing of it is open.
        """
        self._settle(call, State.IN_DOUBT, reason)
        calls = self.calls(call.operation_id, call.step)
        is_open = any(call.state in OPEN for call in calls)
        return open_call(calls, settle_at=None) if is_open and not outcome_of(calls) else None

    def give_up_on(self, sender: str) -> int:
        """Record that the requests of a dead sender without an outcome are in doubt, and return how
        many there were: nobody has to wait for their deadlines.

        A reply that the sender put on disk before it died is still found, and settles the call.
        """
        with self._transaction() as connection:
            changed = connection.execute(
                update(paid_calls)
                .where(paid_calls.c.sender == sender, paid_calls.c.state == State.INTENT)
                .values(
                    state=State.IN_DOUBT,
                    reason="its sender died before it recorded an outcome",
                    settled_at=_now(connection),
                )
            )
            return changed.rowcount

    def keep(
        self, operation_id: str, step: str, artifact: Artifact, provider_operation: str = ""
    ) -> None:
        """Record the file of a finished video. A video recorded as lost is lost no more."""
        with self._transaction() as connection:
            calls = self._rows(connection, operation_id, step)
            found = [c for c in calls if c.state is State.LOST]
            found = [c for c in found if c.provider_operation == provider_operation]
            made = artifact.model_dump_json()
            bought = outcome_of(calls)
            if bought:
                self._set(connection, bought, artifact=made)
            elif found:
                self._set(connection, found[-1], artifact=made, state=State.DONE)

    def outcome(self, operation_id: str, step: str) -> PaidCall | None:
        """The request that paid for a step; None where there is none."""
        return outcome_of(self.calls(operation_id, step))

    def is_of_another(self, provider_operation: str, operation_id: str, step: str) -> bool:
        """Whether the video of that name belongs to another step, or another operation."""
        own = and_(paid_calls.c.operation_id == operation_id, paid_calls.c.step == step)
        named = paid_calls.c.provider_operation == provider_operation
        with self._transaction() as connection:
            others = select(func.count()).select_from(paid_calls).where(named, not_(own))
            return bool(connection.scalar(others))

    def calls(self, operation_id: str | None = None, step: str | None = None) -> Sequence[PaidCall]:
        """All requests, or an operation's, or a step's, in the order they were made."""
        with self._transaction() as connection:
            return self._rows(connection, operation_id, step)

    def billable_usd(self) -> Decimal:
        """What all calls may have cost together: those in doubt count in full."""
        with self._transaction() as connection:
            return _billable(connection)

    def _end(
        self, state: State, operation_id: str, step: str, provider_operation: str, reason: str
    ) -> None:
        with self._transaction() as connection:
            bought = outcome_of(self._rows(connection, operation_id, step))
            if bought and bought.provider_operation == provider_operation:
                now = _now(connection)
                self._set(connection, bought, state=state, reason=reason, settled_at=now)

    def _settle(self, call: PaidCall, state: State, reason: str) -> None:
        with self._transaction() as connection:
            ours = _known(self._rows(connection, call.operation_id, call.step), call)
            # Late knowledge may clear a doubt, but a reply on record stands, and so does a refusal.
            clears = {State.REFUSED: {*OPEN, State.DONE, State.LATE}}
            if ours.state in clears.get(state, {State.INTENT}):
                self._set(connection, ours, state=state, reason=reason, settled_at=_now(connection))

    def _intend(
        self, connection: Connection, request: PaidRequest, number: int, now: float, token: str
    ) -> PaidCall:
        connection.execute(
            insert(paid_calls).values(
                operation_id=request.operation_id,
                step=request.step,
                number=number,
                item=request.item,
                model=request.model,
                cost_usd=request.cost_usd,
                state=State.INTENT,
                sent_at=now,
                deadline_at=now + request.deadline_seconds,
                sender=self._sender,
                token=token,
            )
        )
        return self._rows(connection, request.operation_id, request.step)[-1]

    def _keep_budget(self, connection: Connection, request: PaidRequest, limits: Limits) -> None:
        if limits.budget_usd is None:
            return
        committed = _billable(connection)
        if committed + request.cost_usd > limits.budget_usd:
            raise BudgetExceededError(
                f"the {request.item} would cost ${request.cost_usd}, and of the budget of "
                f"${limits.budget_usd} only ${limits.budget_usd - committed} is left; nothing was "
                "sent. Raise the budget, then start the operation again: what is paid for is kept."
            )

    def _set(self, connection: Connection, call: PaidCall, **values: object) -> PaidCall:
        connection.execute(
            update(paid_calls)
            .where(
                paid_calls.c.operation_id == call.operation_id,
                paid_calls.c.step == call.step,
                paid_calls.c.number == call.number,
            )
            .values(**values)
        )
        return self._rows(connection, call.operation_id, call.step)[call.number - 1]

    def _rows(
        self, connection: Connection, operation_id: str | None, step: str | None
    ) -> tuple[PaidCall, ...]:
        query = select(paid_calls).order_by(paid_calls.c.id)
        if operation_id is not None:
            query = query.where(paid_calls.c.operation_id == operation_id)
        if step is not None:
            query = query.where(paid_calls.c.step == step)
        with _reading():
            return tuple(_call(dict(row)) for row in connection.execute(query).mappings())

    def _prompts(self, connection: Connection, operation_id: str) -> dict[str, str]:
        query = select(prompts).where(prompts.c.operation_id == operation_id)
        with _reading():
            return {row.step: row.prompt_sha256 for row in connection.execute(query)}

    def _make_tables(self, *, make: bool) -> None:
        with self._connection() as connection:
            if connection.dialect.name == "postgresql":
                # Two workers that start at once must not both make the tables.
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_TABLES_LOCK})"))
            if not make and connection.scalar(select(account.c.schema_version)) is None:
                raise _replaced()
            metadata.create_all(connection)
            version = connection.scalar(select(account.c.schema_version))
            if version is None:
                connection.execute(insert(account).values(id=1, schema_version=SCHEMA_VERSION))
            while version in UPGRADES:
                for statement in UPGRADES[version]:
                    connection.execute(text(statement))
                version += 1
            if version not in {None, SCHEMA_VERSION}:
                raise JournalError(
                    f"the journal has schema version {version} and this program supports "
                    f"{SCHEMA_VERSION}; use the program that made it, or another "
                    "PAYMENT_JOURNAL_URL.",
                    lasting=True,
                )
            nameless = update(account).where(account.c.ledger_id.is_(None))
            connection.execute(nameless.values(ledger_id=str(uuid4())))
            self._id = connection.scalar(select(account.c.ledger_id))
            # One that can be read but not written is found out now, not when something is paid for.
            connection.execute(update(account).values(schema_version=SCHEMA_VERSION))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """One transaction at a time over all workers: see `account` in `tables`."""
        with self._connection() as connection:
            # What is in the place of the journal may be another by now, or an empty one.
            if connection.scalar(select(account.c.ledger_id).with_for_update()) != self._id:
                raise _replaced()
            unanswered = frozenset(self._unanswered)
            if unanswered:
                self._withdraw(connection, unanswered)
            yield connection
        self._unanswered -= unanswered

    def _withdraw(self, connection: Connection, tokens: frozenset[str]) -> None:
        """Intents whose grant never reached their sender were never sent. The transactions that
        recorded them have ended: they held the lock that this one has.
        """
        connection.execute(
            update(paid_calls)
            .where(paid_calls.c.token.in_(tokens), paid_calls.c.state.in_(OPEN))
            .values(
                state=State.REFUSED,
                reason="it was never sent: the journal did not confirm it in time",
                settled_at=_now(connection),
            )
        )

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            message, lasting = explain(error)
            raise JournalError(message, lasting=lasting) from None
        except UnicodeDecodeError:  # of SQLite's own message about a damaged file
            message, lasting = explain_content()
            raise JournalError(message, lasting=lasting) from None


@contextmanager
def _reading() -> Iterator[None]:
    """Rows are turned into values here: what cannot be one, the journal never wrote."""
    try:
        yield
    except (ValueError, OverflowError):
        message, lasting = explain_content()
        raise JournalError(message, lasting=lasting) from None


def _call(row: dict[str, object]) -> PaidCall:
    for name in ("sent_at", "deadline_at", "settled_at"):
        stamp = row[name]
        row[name] = datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, float) else None
    artifact = row["artifact"]
    row["artifact"] = Artifact.model_validate_json(artifact) if isinstance(artifact, str) else None
    return PaidCall.model_validate(row)


def _now(connection: Connection) -> float:
    """The database's clock, in seconds since 1970."""
    clock = {
        "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
        "postgresql": "SELECT extract(epoch FROM clock_timestamp())::float8",
    }[connection.dialect.name]
    return float(connection.scalar(text(clock)) or 0.0)


def _billable(connection: Connection) -> Decimal:
    total = select(func.sum(paid_calls.c.cost_usd)).where(paid_calls.c.state.in_(BILLABLE))
    return connection.scalar(total) or Decimal(0)


def _known(calls: Sequence[PaidCall], call: PaidCall) -> PaidCall:
    """What the journal holds of a call: nothing where an older copy of it was put in its place."""
    if len(calls) < call.number:
        raise _older(f"request {call.number} of {call.step}, which it granted")
    return calls[call.number - 1]


def _older(what: str) -> JournalError:
    """It does not last: work waits until the newest state is back."""
    return JournalError(
        f"the journal has no record of {what}; stop all work and restore its latest state.",
        lasting=False,
    )


def _replaced() -> JournalError:
    return JournalError(
        "the payment journal was replaced by another one; restore its latest state.",
        lasting=False,
    )


def _other_prompt(operation_id: str, step: str) -> OtherPromptError:
    return OtherPromptError(
        f"the operation {operation_id} was started with another prompt for its {step}; start it "
        "with its own prompts to continue, or use a new operation id."
    )


def _fingerprint(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()
