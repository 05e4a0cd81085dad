"""The provider's bills: one JSON line an event, durable before anything follows from it.

The file says what was billed, and is the only state that outlives the process. This module is all
that a reader of it needs.
"""

import asyncio
import contextlib
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from chaos.evidence.files import read_file, sync_folder

UtcTime = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]
Usd = Annotated[Decimal, Field(ge=0, lt=1_000_000_000, allow_inf_nan=False)]


class BillsError(Exception):
    """The bills cannot be read or written; the message says why and what to do."""


class Call(StrEnum):
    """A kind of request that the provider serves."""

    IMAGE = "image"
    VIDEO_START = "video_start"
    POLL = "poll"
    DOWNLOAD = "download"


class Item(StrEnum):
    """What a bill is for."""

    IMAGE = "image"
    VIDEO = "video"


class Outcome(StrEnum):
    """How the work behind a bill ends.

    ok: delivered as an image, or as the file of a video. inline: delivered in the reply to a poll.
    failed, filtered: nothing is delivered, and nothing charged. undelivered: billed, and done
    without a video or an error. expired: billed, and gone as soon as it is done.
    """

    OK = "ok"
    INLINE = "inline"
    FAILED = "failed"
    FILTERED = "filtered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"

    @property
    def charged(self) -> bool:
        """Whether the customer pays for it."""
        return self not in {Outcome.FAILED, Outcome.FILTERED}

    @property
    def delivers(self) -> bool:
        """Whether there is an image or video to be had."""
        return self in {Outcome.OK, Outcome.INLINE}


class _Entry(BaseModel):
    """What all records share. An unknown field is an error: it means a damaged file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: UtcTime
    request_id: str


class Received(_Entry):
    """A whole request came in; nothing was done about it yet.

    `image_sha256` is that of the decoded reference image of a video start. `operation` is the
    operation polled, `file` the id of the file asked for. `key_valid` tells whether it brought
    the right key, and `redirected` whether it came where a redirect points to: another host,
    which must not be given the key.
    """

    event: Literal["received"] = "received"
    call: Call
    model: str | None = None
    prompt: str | None = None
    image_sha256: str | None = None
    operation: str | None = None
    file: str | None = None
    key_valid: bool
    redirected: bool = False


class Billed(_Entry):
    """The customer owes `amount_usd`, whether or not the reply reaches anyone.

    `sha256` is that of the content to be delivered; None where `outcome` delivers nothing.
    `operation` and `file` belong to videos; only an `ok` one has a file. A video's `at` is the
    start of its rendering. `error_code` is the one that a failed operation ends in.
    """

    event: Literal["billed"] = "billed"
    item: Item
    model: str
    prompt: str
    amount_usd: Usd
    sha256: str | None = None
    operation: str | None = None
    file: str | None = None
    outcome: Outcome = Outcome.OK
    error_code: int | None = None


class Answered(_Entry):
    """The reply left, or was withheld by a fault.

    `kind` is "ok", "invalid_key", "key_given_away", "invalid_request", "blocked", "not_found" or
    the kind of the fault. `status` is None where no status line was sent. `client_connected`
    tells whether anyone was still there to take it. `sha256` is that of the image or video it
    carried whole.
    """

    event: Literal["answered"] = "answered"
    kind: str
    status: int | None
    client_connected: bool
    sha256: str | None = None


Record = Annotated[Received | Billed | Answered, Field(discriminator="event")]
_RECORD: TypeAdapter[Record] = TypeAdapter(Record)
Records = tuple[Record, ...]


def now() -> datetime:
    """The time of a record: UTC, aware."""
    return datetime.now(UTC)


def read_bills(path: Path) -> Records:
    """All records of the bills at `path`, in the order they were written.

    A missing file has none. An unfinished last line is left out: its writer died, or
    is still at it, and nothing can have followed from it. Raises BillsError for any other
    damage.
    """
    try:
        content = read_file(path)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise BillsError(f"The file of bills {path} cannot be read ({error.strerror}).") from error
    return _parse(content, path)


def _parse(content: bytes, path: Path) -> Records:
    whole_lines = content.split(b"\n")[:-1]
    records: list[Record] = []
    for number, line in enumerate(whole_lines, start=1):
        try:
            records.append(_RECORD.validate_json(line, strict=True))
        except ValidationError as error:
            raise BillsError(
                f"Line {number} of the file of bills {path} is damaged: "
                "keep the file as evidence and go on with a new one."
            ) from error
    return tuple(records)


def to_line(record: Record) -> bytes:
    """`record` as it stands in the file, with its newline."""
    return _RECORD.dump_json(record) + b"\n"


class BillsWriter:
    """Appends durable records; one process at a time, which a lock on the file enforces.

    Concurrent appends share one fsync (group commit), made in a thread, and keep their order.
    After a failed write nothing more is accepted: the provider must stop.
    """

    def __init__(self, path: Path, descriptor: int, size_bytes: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._size_bytes = size_bytes
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bills")
        self._failure: str | None = None

    @classmethod
    def open(cls, path: Path) -> tuple[Self, Records]:
        """A writer at the end of the bills at `path`, and the records already in it.

        Makes the file where it is missing and cuts an unfinished last line off. Raises
        BillsError where the file cannot be written, is damaged or has another writer.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise BillsError(
                f"The file of bills {path} cannot be opened for writing ({error.strerror}): "
                "name a file in a folder that exists and is writable."
            ) from error
        try:
            records, size_bytes = cls._take_over(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, size_bytes), records

    @staticmethod
    def _take_over(path: Path, descriptor: int) -> tuple[Records, int]:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BillsError(
                f"The file of bills {path} belongs to another running process: "
                "end that process, or name another file."
            ) from error
        try:
            content = path.read_bytes()
            records = _parse(content, path)
            size_bytes = content.rfind(b"\n") + 1
            os.ftruncate(descriptor, size_bytes)
            os.fsync(descriptor)
            sync_folder(path.parent)
        except OSError as error:
            raise BillsError(
                f"The file of bills {path} cannot be used ({error.strerror}): "
                "name an ordinary file."
            ) from error
        return records, size_bytes

    async def append(self, record: Record) -> None:
        """Return once `record` is on the disk. Raises BillsError if it cannot be put there."""
        if self._failure is not None:
            raise BillsError(self._failure)
        done = asyncio.get_running_loop().create_future()
        self._pending.append((to_line(record), done))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())
        await done

    async def close(self) -> None:
        """Finish what is under way and give the file up."""
        if self._flusher is not None:
            await self._flusher
        self._thread.shutdown()
        os.close(self._descriptor)

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            batch, self._pending = self._pending, []
            lines = b"".join(line for line, _ in batch)
            try:
                await loop.run_in_executor(self._thread, self._write, lines)
            except OSError as error:
                self._fail(error, batch)
                break
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
        self._flusher = None

    def _write(self, lines: bytes) -> None:
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError:
            # No one will be told that these records exist, so they should not.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size_bytes)
            raise
        self._size_bytes += len(lines)

    def _fail(self, error: OSError, batch: list[tuple[bytes, asyncio.Future[None]]]) -> None:
        self._failure = (
            f"The file of bills {self._path} cannot be written ({error.strerror}): "
            "make room for it and start again."
        )
        lost, self._pending = batch + self._pending, []
        for _, done in lost:
            if not done.done():
                done.set_exception(BillsError(self._failure))
