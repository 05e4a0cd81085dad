"""What the single video and the series share: their state, their steps and their controls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from workflows import policies
    from workflows.failures import open_call_of, pause_of, type_of, was_lost, words_of
    from workflows.inputs import decision_objection, excess_of
    from workflows.models import (
        CHARACTER,
        NOT_BILLED,
        VIDEO_LOST,
        VIDEO_NOT_MADE,
        Artifact,
        Character,
        CharacterOrder,
        Checkpoint,
        Choice,
        Decision,
        OpenCall,
        OperationOrder,
        PaidOrder,
        Progress,
        Record,
        SeriesVideoInput,
        SingleVideoInput,
        Stage,
        StartedVideo,
        VideoDownload,
        VideoOrder,
        VideoStatus,
        Waiting,
        video_step,
    )

T = TypeVar("T")
Input = TypeVar("Input", SingleVideoInput, SeriesVideoInput)

_PARKING = "waits-while-the-provider-is-down"
"""The patch from which on an operation does not fail by an outage."""

_MEASURING = "refuses-prompts-that-are-too-long"
"""The patch from which on an operation is not begun with prompts that may not fit into a payload.
"""

_ACTIVITIES_PER_VIDEO = 3
_ACTIVITIES_BEFORE = {Stage.AWAITING_VIDEO: 1, Stage.DOWNLOADING_VIDEO: 2}
"""Activities of the current video that are done when a stage begins."""


class VideoOperation:
    """The state of one operation and the steps that change it.

    A step is what a checkpoint ends: the character, or one whole video. Pause and cancel take
    effect between steps, so that nothing that was paid for is dropped halfway.
    """

    def __init__(
        self, videos: int, objection: str | None, progress: Progress | None = None
    ) -> None:
        self._videos = videos
        self._objection = objection
        self._cancel_requested = False
        self._decision: Decision | None = None
        self._has_begun = progress is not None
        self._state = progress or Progress(operation_id=workflow.info().workflow_id)
        if progress is None:
            self._pass("started")

    def _required(self, config: Input | None) -> Input:
        """What the operation was asked for. Fails where it cannot be taken."""
        if config is None or self._objection:
            raise self._fail(self._objection or "it has no input.", "InvalidInput")
        excess = None if self._has_begun else excess_of(config)
        if excess and workflow.patched(_MEASURING):
            raise self._fail(excess, "InvalidInput")
        return config

    @workflow.query
    def progress(self) -> Progress:
        """The stage, percentage, checkpoints, artifacts and cost so far."""
        return self._state

    @workflow.signal
    def pause(self) -> None:
        """Wait after the current step, until `resume`."""
        self._update(paused=True)

    @workflow.signal
    def resume(self) -> None:
        """Go on with the next step."""
        self._update(paused=False)

    @workflow.signal
    def decide(self, decision: Decision) -> None:
        """Settle the call that `Progress.undecided` tells of; another answer is not taken."""
        hint = decision_objection(self._state.undecided, decision)
        self._update(hint=hint)
        if hint is None:
            self._decision = decision

    async def _open(self, character_prompt: str, video_prompts: Sequence[str]) -> None:
        """Bind this operation's id to its prompts. Fails where it has others already."""
        wanted = {video_step(n): prompt for n, prompt in enumerate(video_prompts, start=1)}
        order = OperationOrder(
            operation_id=self._state.operation_id,
            prompts={CHARACTER: character_prompt, **wanted},
        )
        await self._step("the operation", self._run("open_operation", order, type(None)))

    async def _make_character(self, prompt: str) -> None:
        await self._step("the character", self._character(prompt))

    async def _make_video(self, number: int, prompt: str, checkpoint: str) -> None:
        what = f"video {number} of {self._videos}"
        await self._step(what, self._video(number, prompt, checkpoint))

    async def _character(self, prompt: str) -> None:
        self._enter(Stage.GENERATING_CHARACTER)
        order = CharacterOrder(operation_id=self._state.operation_id, prompt=prompt)
        made = await self._paid("generate_character", order, Character)
        self._charge(made.cost_usd, made.possible_waste_usd)
        self._pass("character_generated", made.artifact)

    async def _video(self, number: int, prompt: str, checkpoint: str) -> None:
        self._update(video=number)
        self._enter(Stage.STARTING_VIDEO)
        operation_id = self._state.operation_id
        order = VideoOrder(
            operation_id=operation_id,
            number=number,
            prompt=prompt,
            character=self._state.artifacts[0],
        )
        waste, not_made = Decimal(0), 0
        while True:
            started = await self._paid("start_video", order, StartedVideo)
            self._charge(started.cost_usd, started.possible_waste_usd - waste)
            if started.artifact:
                self._pass(checkpoint, started.artifact)
                return
            try:
                self._pass(checkpoint, await self._fetched(started))
            except ActivityError as error:
                kind = type_of(error)
                if kind in NOT_BILLED:
                    self._charge(-started.cost_usd)
                    waste, not_made = started.possible_waste_usd, not_made + 1
                    if kind != VIDEO_NOT_MADE or not_made == policies.RETRY_POLICY.maximum_attempts:
                        raise
                    await self._pause(policies.retry_interval(not_made), words_of(error))
                elif (
                    kind == VIDEO_LOST
                ):  # the journal knows, and has it decided before it is bought
                    self._charge(-started.cost_usd, started.cost_usd)
                    waste = started.possible_waste_usd + started.cost_usd
                else:
                    raise
            else:
                return
            self._enter(Stage.STARTING_VIDEO)

    async def _fetched(self, started: StartedVideo) -> Artifact:
        """A started video, once it is made and on disk."""
        self._enter(Stage.AWAITING_VIDEO)
        made = await self._await_video(started)
        if made.artifact:
            return made.artifact
        self._enter(Stage.DOWNLOADING_VIDEO)
        download = VideoDownload(
            operation_id=started.operation_id,
            number=started.number,
            uri=made.uri or "",
            provider_operation=started.provider_operation,
        )
        return await self._run("download_video", download, Artifact)

    async def _await_video(self, started: StartedVideo) -> VideoStatus:
        """Wait for a video over any number of workers that stop and hand the wait on."""
        seconds = started.deadline_seconds or policies.VIDEO_DEADLINE.total_seconds()
        deadline = workflow.now() + timedelta(seconds=seconds)
        video = started.model_copy(update={"await_until": deadline})
        status = VideoStatus()
        while workflow.now() < deadline:
            status = await self._run("await_video", video, VideoStatus)
            if status.is_done:
                return status
        trouble = f" The last poll failed: {status.trouble}" if status.trouble else ""
        raise ApplicationError(
            f"the provider did not finish it within {seconds:g} s (VIDEO_DEADLINE_SECONDS). It is "
            f"paid for, and its name {started.provider_operation} is kept: start the operation "
            f"again under the same id to wait for it again, without paying again.{trouble}",
            type="VideoTooLate",
        )

    async def _paid(self, name: str, order: PaidOrder, result: type[T]) -> T:
        """Run a paid activity until it has paid, or knows that somebody did."""
        while True:
            try:
                return await self._run(name, order, result)
            except ActivityError as error:
                call = open_call_of(error)
                if call is None:
                    raise
                order = await self._settled(order, call)

    async def _settled(self, order: PaidOrder, call: OpenCall) -> PaidOrder:
        """Wait until an open call can be settled, by its deadline or by an operator."""
        stage = self._state.stage
        self._update(undecided=call)
        if call.settle_at is not None:
            await self._deadline_of(call.settle_at)
            self._update(undecided=None)
            self._require_not_canceled()
            return order
        self._enter(Stage.UNDECIDED)
        decision = await self._decided()
        self._update(undecided=None)
        if decision is None:
            self._require_not_canceled()
            return order
        if decision.choice is Choice.GIVE_UP:
            raise ApplicationError(
                f"it was given up after a call that may have been paid for: {call.reason}",
                type="GivenUp",
            )
        self._enter(stage)
        if decision.choice is Choice.MADE:
            return order.model_copy(update={"made_as": decision.provider_operation})
        return order.model_copy(
            update={"resends": call.ambiguous, "rebuys": call.lost, "made_as": None}
        )

    async def _run(self, name: str, order: Record, result: type[T]) -> T:
        """Run an activity; while what it depends on is out of order, wait and try again."""
        since, pauses = workflow.now(), 0
        while True:
            try:
                return await _activity(name, order, result)
            except ActivityError as error:
                pause = pause_of(error, pauses)
                if pause is None or not workflow.patched(_PARKING):
                    raise
                # Not all at the same moment: many operations wait for the same.
                spread = min(0.1 * pause, policies.LONGEST_SPREAD)
                pause += spread * workflow.random().random()
                if workflow.now() + pause - since > policies.LONGEST_OUTAGE:
                    raise
                pauses += 1
                await self._pause(pause, words_of(error))

    async def _pause(self, pause: timedelta, reason: str) -> None:
        """Wait so long, visibly, or until a cancel is requested. Raises CancelledError."""
        self._update(waiting=Waiting(until=workflow.now() + pause, reason=reason))
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._cancel_requested, timeout=pause)
        self._update(waiting=None)
        self._require_not_canceled()

    async def _deadline_of(self, settle_at: datetime) -> None:
        """Wait until then, or until a cancel is requested: nothing is in flight meanwhile."""
        # At least a moment: the journal's clock may be behind the server's.
        wait = max(policies.SHORTEST_WAIT, settle_at - workflow.now())
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._cancel_requested, timeout=wait)

    def _require_not_canceled(self) -> None:
        """Raise CancelledError where a cancel was requested. An open call stays on record."""
        if self._cancel_requested:
            self._enter(Stage.CANCELED)
            raise asyncio.CancelledError

    async def _decided(self) -> Decision | None:
        """What the operator says; None once a cancel was requested instead."""
        self._decision = None
        await workflow.wait_condition(lambda: bool(self._decision) or self._cancel_requested)
        return self._decision

    async def _step(self, what: str, step: Coroutine[object, object, None]) -> None:
        """Run one step to its end; a cancel that comes meanwhile takes effect after it."""
        try:
            await self._between_steps()
        except asyncio.CancelledError:
            step.close()
            raise
        task = asyncio.create_task(step)
        try:
            while not task.done():
                try:
                    await asyncio.shield(task)
                except asyncio.CancelledError:
                    self._cancel_requested = True
            task.result()
        except (ActivityError, ApplicationError) as error:
            raise self._failed(what, error) from error

    async def _between_steps(self) -> None:
        """Wait here while paused; raises CancelledError once a cancel was requested."""
        if not self._cancel_requested:
            try:
                await workflow.wait_condition(lambda: not self._state.paused)
            except asyncio.CancelledError:
                self._cancel_requested = True
        self._require_not_canceled()

    def _failed(self, what: str, error: ActivityError | ApplicationError) -> ApplicationError:
        """The end of an operation whose step failed: what and why."""
        return self._fail(f"{what} failed: {words_of(error)}", "StepFailed")

    def _fail(self, message: str, kind: str) -> ApplicationError:
        """The end of an operation that cannot go on, with all that was made."""
        self._update(failure=message)
        self._enter(Stage.FAILED)
        return ApplicationError(message, self._state, type=kind, non_retryable=True)

    def _complete(self, checkpoint: str) -> Progress:
        self._pass(checkpoint)
        self._update(video=None, paused=False, hint=None)
        self._enter(Stage.COMPLETE)
        return self._state

    def _enter(self, stage: Stage) -> None:
        """Begin a stage; the percentage counts the activities done and never goes back."""
        files = len(self._state.artifacts)
        done = 1 + _ACTIVITIES_PER_VIDEO * (files - 1) if files else 0
        done += _ACTIVITIES_BEFORE.get(stage, 0)
        percent = 100 * done // (1 + _ACTIVITIES_PER_VIDEO * self._videos)
        self._update(stage=stage, progress_percent=max(percent, self._state.progress_percent))

    def _pass(self, name: str, artifact: Artifact | None = None) -> None:
        point = Checkpoint(
            name=name, at=workflow.now(), cost_usd=self._state.cost_usd, artifact=artifact
        )
        self._update(checkpoints=(*self._state.checkpoints, point))

    def _charge(self, usd: Decimal, possible_waste_usd: Decimal = Decimal(0)) -> None:
        self._update(
            cost_usd=self._state.cost_usd + usd,
            possible_waste_usd=self._state.possible_waste_usd + possible_waste_usd,
        )

    def _update(self, **changes: object) -> None:
        self._state = self._state.model_copy(update=changes)


async def _activity(name: str, order: Record, result: type[T]) -> T:
    """Run an activity, by name, under the policies that all of them share."""
    for _ in range(policies.MAX_WORKER_LOSSES):
        try:
            return await _attempts(name, order, result)
        except ActivityError as error:
            if not was_lost(error):
                raise
            workflow.logger.warning("%s lost its worker three times, and is tried again", name)
    return await _attempts(name, order, result)


async def _attempts(name: str, order: Record, result: type[T]) -> T:
    made: T = await workflow.execute_activity(
        name,
        order,
        result_type=result,
        start_to_close_timeout=policies.START_TO_CLOSE_TIMEOUT,
        schedule_to_close_timeout=policies.SCHEDULE_TO_CLOSE_TIMEOUT,
        heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
        retry_policy=policies.RETRY_POLICY,
    )
    return made
