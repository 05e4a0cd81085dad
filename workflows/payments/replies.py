"""Replies to paid requests on disk, before they are recorded: a crash in between loses none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from workflows.artifacts import ArtifactStore
from workflows.payments.calls import PaidCall
from workflows.payments.journal import JournalError, PaymentJournal
from workflows.success_replies import Image

T_contra = TypeVar("T_contra", contravariant=True)


class Replies(Protocol[T_contra]):
    """Where the replies of one kind of call are put before they are recorded."""

    def put(self, call: PaidCall, reply: T_contra) -> None:
        """Put a reply on disk, whole or not at all. Raises ArtifactError."""

    def record(self, journal: PaymentJournal, call: PaidCall) -> bool:
        """Record the reply that lies on disk; False where none does."""

    def require_none(self, operation_id: str, step: str) -> None:
        """Raise JournalError where a step without any record has a file."""


@dataclass(frozen=True)
class ImageReplies:
    """An image is its own artifact; its name tells which request it answers."""

    store: ArtifactStore

    def put(self, call: PaidCall, reply: Image) -> None:
        """See `Replies`."""
        self.store.save(call.operation_id, f"{_name(call)}{reply.suffix}", reply.data)

    def record(self, journal: PaymentJournal, call: PaidCall) -> bool:
        """See `Replies`."""
        artifact = self.store.find(call.operation_id, _name(call))
        if artifact:
            journal.record(call, artifact=artifact)
        return artifact is not None

    def require_none(self, operation_id: str, step: str) -> None:
        """See `Replies`."""
        found = self.store.find(operation_id, step)
        if found:
            raise _without_record(found.path)


@dataclass(frozen=True)
class VideoReplies:
    """The provider's name of a video, in a hidden file. It stays there: should the journal ever be
    replaced by a copy that is older than the reply, nothing is paid for again.
    """

    store: ArtifactStore

    def put(self, call: PaidCall, reply: str) -> None:
        """See `Replies`."""
        self.store.save_note(call.operation_id, _name(call), reply)

    def record(self, journal: PaymentJournal, call: PaidCall) -> bool:
        """See `Replies`."""
        name = self.store.read_note(call.operation_id, _name(call))
        if name:
            journal.record(call, provider_operation=name)
        return bool(name)

    def require_none(self, operation_id: str, step: str) -> None:
        """See `Replies`."""
        if self.store.read_note(operation_id, step):
            raise _without_record(f"the provider's name of {operation_id}/{step}")
        if self.store.has(operation_id, f"{step}.mp4"):
            raise _without_record(f"{operation_id}/{step}.mp4")


def _without_record(what: str) -> JournalError:
    """It does not last: work waits until the right journal is back."""
    return JournalError(
        f"{what} exists, but the journal has no record of it, so PAYMENT_JOURNAL_URL may name "
        "another journal than before; correct it, or use a new operation id to pay for everything "
        "again.",
        lasting=False,
    )


def _name(call: PaidCall) -> str:
    """The name of a reply's file: that of the step, with the request's number from the second on,
    so that a late reply never takes the place of another.
    """
    return call.step if call.number == 1 else f"{call.step}.{call.number}"
