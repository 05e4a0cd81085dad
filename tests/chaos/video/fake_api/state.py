"""The operations and files a provider knows: all of them read back from its bills."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from tests.chaos.video.fake_api.bills import Billed, BillsError, Item, Outcome, Record
from tests.chaos.video.fake_api.media import make_video


class Operation(BaseModel):
    """A video in the making, or made. `file` is None where there is none to download.

    `error_code` is the one that a failed operation ends in.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    request_id: str
    prompt: str
    started_at: datetime
    outcome: Outcome
    file: str | None
    error_code: int | None = None

    @classmethod
    def of(cls, bill: Billed) -> Self:
        """The operation behind a video's bill. Raises BillsError if the bill names none."""
        if bill.operation is None:
            raise BillsError(f"The bill of request {bill.request_id} names no operation.")
        return cls(
            name=bill.operation,
            request_id=bill.request_id,
            prompt=bill.prompt,
            started_at=bill.at,
            outcome=bill.outcome,
            file=bill.file,
            error_code=bill.error_code,
        )

    def rendered(self, at: datetime, video_seconds: float) -> bool:
        """Whether the rendering has had its time."""
        return at >= self.started_at + timedelta(seconds=video_seconds)

    def content(self) -> bytes:
        """The video's bytes: the same each time."""
        return make_video(operation_id(self.name), self.prompt)


def new_operation_name(model: str) -> str:
    """A name that no operation had before, in the provider's form."""
    return f"models/{model}/operations/{uuid4().hex[:20]}"


def new_file_id() -> str:
    """An id that no file had before: lower-case letters and digits, as the client expects."""
    return uuid4().hex[:20]


def operation_id(name: str) -> str:
    """The last part of an operation's name."""
    return name.rpartition("/")[2]


class Operations:
    """Every operation ever started, oldest first."""

    def __init__(self) -> None:
        self._by_name: dict[str, Operation] = {}
        self._by_file: dict[str, Operation] = {}

    @classmethod
    def replay(cls, records: Iterable[Record]) -> Self:
        """The operations that these records tell of."""
        operations = cls()
        for record in records:
            if isinstance(record, Billed) and record.item is Item.VIDEO:
                operations.add(Operation.of(record))
        return operations

    def add(self, operation: Operation) -> None:
        """Know `operation` from now on."""
        self._by_name[operation.name] = operation
        if operation.file is not None:
            self._by_file[operation.file] = operation

    def named(self, name: str) -> Operation | None:
        """The operation of that name."""
        return self._by_name.get(name)

    def of_file(self, file: str) -> Operation | None:
        """The operation whose video has that file id."""
        return self._by_file.get(file)

    def all(self) -> tuple[Operation, ...]:
        """Every operation, oldest first."""
        return tuple(self._by_name.values())
