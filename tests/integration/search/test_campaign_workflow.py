"""The workflow of a campaign, on a real server, with stand-ins of its activities."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer

from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until
from chaos.search.campaign import names
from chaos.search.campaign.account import Limits
from chaos.search.campaign.model import Explore, Seeds, State
from chaos.search.campaign.workflow import (
    CANCELLED,
    HOPELESS,
    STOPPED,
    TIME_IS_UP,
    CampaignWorkflow,
    runner,
)
from tests.integration.search.stand_ins import StandIns, campaign_of, start, until
from tests.integration.wire.bed import bed_in, start_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = Limits(heartbeat_seconds=1, attempts=2, least_open=4)
EXPLORE, SEEDS = Explore(specs=("order",)), Seeds()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(
    reaper: Reaper, temporal_cli: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Client]:
    async with bed_in(tmp_path_factory.mktemp("control"), reaper.run_tag) as bed:
        yield await (await start_server(bed, temporal_cli)).connect()


async def test_each_case_is_judged_once_and_each_verdict_told_once(client: Client) -> None:
    campaign, town = campaign_of(EXPLORE), StandIns(cases=30)
    town.going.set()
    async with town.polling(client, campaign):
        ended = await (await start(client, campaign, LIMITS)).result()

    assert (ended.judged, ended.passed, ended.failed, ended.unknown) == (30, 27, 3, 0)
    assert (ended.why, ended.never, town.ended) == ("", (), [ended])
    assert set(town.began.values()) == {1}
    assert [turn.number for turn in town.turns] == list(range(1, len(town.turns) + 1))
    told = [judged.name for turn in town.turns for judged in turn.judged]
    assert len(told) == len(set(told))
    assert all(turn.most <= 4 for turn in town.turns)


async def test_it_continues_as_new_and_no_case_is_lost_or_run_twice(client: Client) -> None:
    campaign, town = campaign_of(EXPLORE), StandIns(cases=40)
    town.going.set()
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS.model_copy(update={"most_events": 60}))
        ended = await handle.result()
        runs = [
            run async for run in client.list_workflows(f"WorkflowId = '{campaign.campaign_id}'")
        ]

    continued = [r for r in runs if r.status is WorkflowExecutionStatus.CONTINUED_AS_NEW]
    assert len(continued) >= 2
    assert (ended.judged, ended.failed, len(town.began)) == (40, 4, 40)
    assert set(town.began.values()) == {1}
    told = [judged.name for turn in town.turns for judged in turn.judged]
    assert len(told) == len(set(told))


async def test_while_it_is_paused_nothing_is_handed_out(client: Client) -> None:
    campaign, town = campaign_of(EXPLORE), StandIns(cases=12)
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS)
        await town.until_begun(4)
        await handle.signal(CampaignWorkflow.pause)
        town.going.set()
        await until(handle, lambda p: p.open == 0, "what was open has ended")
        progress = await handle.query(CampaignWorkflow.progress, 3)
        assert (progress.state, progress.seen, progress.total) == (State.PAUSED, 4, 12)
        assert len(progress.recent) == 1, "three were seen already"
        assert progress.recent[0].cells == ()
        assert progress.machines[0].judged == 4
        assert len(town.began) == 4

        await handle.signal(CampaignWorkflow.resume)
        assert (await handle.result()).judged == 12


async def test_what_waits_for_a_machine_does_not_begin_after_all(client: Client) -> None:
    campaign, town = campaign_of(SEEDS), StandIns(cases=8, is_gated=True, at_once=1)
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS)
        await town.until_begun(1)
        await handle.signal(CampaignWorkflow.pause)
        town.going.set()
        await until(handle, lambda p: p.open == 0, "what was handed out has come back")
        assert (len(town.began), (await handle.query(CampaignWorkflow.progress)).seen) == (1, 1)

        town.going.clear()
        await handle.signal(CampaignWorkflow.resume)
        await town.until_begun(2)
        await handle.signal(CampaignWorkflow.budget, 0.001)
        await until(handle, lambda p: p.state is State.ENDING, "its time is over")
        town.going.set()
        ended = await handle.result()

    assert (ended.judged, ended.why) == (2, TIME_IS_UP)
    assert len(ended.never) == 3, "which were handed out, and had not begun"
    assert set(town.began.values()) == {1}


@pytest.mark.parametrize("way", [STOPPED, CANCELLED])
async def test_one_that_is_stopped_names_what_has_no_verdict(client: Client, way: str) -> None:
    campaign, town = campaign_of(SEEDS), StandIns(cases=100)
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS)
        await town.until_begun(4)
        await (handle.signal(CampaignWorkflow.stop) if way == STOPPED else handle.cancel())
        ended = await handle.result()

    assert (ended.why, ended.judged) == (way, 0)
    assert {each.name for each in ended.never} == set(town.began)
    assert {each.reason for each in ended.never} == {way}
    assert town.ended == [ended]


async def test_one_that_is_cancelled_while_its_end_is_written_has_it_all_the_same(
    client: Client,
) -> None:
    writing = asyncio.Event()
    campaign, town = campaign_of(SEEDS), StandIns(cases=2, writing=writing)
    town.going.set()
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS)
        await wait_until(lambda: bool(town.ended), what="it ends", deadline_seconds=20)
        await handle.cancel()
        writing.set()
        ended = await handle.result()

    assert (ended.judged, town.ended) == (2, [ended])


async def test_when_its_minutes_are_over_what_is_open_ends(client: Client) -> None:
    campaign, town = campaign_of(SEEDS, minutes=600), StandIns(cases=100)
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS)
        await town.until_begun(4)
        await handle.signal(CampaignWorkflow.budget, 0.01)
        await until(handle, lambda p: p.state is State.ENDING, "its time is over")
        town.going.set()
        ended = await handle.result()

    assert (ended.why, ended.judged, ended.never) == (TIME_IS_UP, 4, ())
    assert len(town.began) == 4


@pytest.mark.parametrize("is_resumed", [False, True])
async def test_what_is_open_does_not_hide_that_its_minutes_are_over(
    client: Client, *, is_resumed: bool
) -> None:
    """A query tells the time of the last thing that happened: a timer is one."""
    campaign = campaign_of(SEEDS, minutes=600 if is_resumed else 0.02)
    town = StandIns(cases=100)
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS)
        if is_resumed:
            await handle.signal(CampaignWorkflow.pause)
            await handle.signal(CampaignWorkflow.budget, 0.02)
            await handle.signal(CampaignWorkflow.resume)
        await town.until_begun(4)
        await until(handle, lambda p: p.state is State.ENDING, "its time is over")
        town.going.set()
        assert (await handle.result()).why == TIME_IS_UP


async def test_a_pause_does_not_count_as_running_time(client: Client) -> None:
    campaign, town = campaign_of(SEEDS, minutes=600), StandIns(cases=8)
    town.going.set()
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS)
        await handle.signal(CampaignWorkflow.pause)
        before = await handle.query(CampaignWorkflow.progress)
        await handle.signal(CampaignWorkflow.pause)
        after = await handle.query(CampaignWorkflow.progress)
        assert before.minutes_left == after.minutes_left is not None
        await handle.signal(CampaignWorkflow.budget, None)
        await handle.signal(CampaignWorkflow.resume)
        ended = await handle.result()

    assert (ended.judged, ended.why) == (8, "")


async def test_a_case_whose_machine_is_lost_runs_again(client: Client) -> None:
    campaign = campaign_of(SEEDS)
    town = StandIns(cases=4, silent={"case-1"}, doomed={"case-2"})
    town.going.set()
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS)
        ended = await handle.result()

    assert (ended.judged, ended.passed, ended.unknown) == (4, 3, 1)
    assert town.began == {"case-0": 1, "case-1": 2, "case-2": 2, "case-3": 1}
    (never,) = ended.never
    assert never.name == "case-2"
    assert never.reason == "it was begun 2 times, and each time its machine was lost"


async def test_where_no_machine_can_judge_too_many_it_ends(client: Client) -> None:
    campaign = campaign_of(EXPLORE)
    town = StandIns(cases=30, doomed={"case-0", "case-1"})
    async with town.polling(client, campaign):
        limits = LIMITS.model_copy(update={"attempts": 1, "most_given_up": 2})
        ended = await (await start(client, campaign, limits)).result()

    assert (ended.why, ended.judged, ended.unknown) == (HOPELESS, 2, 2)
    assert {each.name for each in ended.never[:2]} == {"case-0", "case-1"}
    assert {each.name for each in ended.never} == {f"case-{each}" for each in range(town.given)}


async def test_a_machine_that_is_lost_while_it_chooses_holds_up_nobody(client: Client) -> None:
    campaign = campaign_of(SEEDS)
    town = StandIns(cases=4, silent_questions={names.CHOOSE, names.FINISH})
    town.going.set()
    async with town.polling(client, campaign):
        ended = await (await start(client, campaign, LIMITS)).result()

    assert (ended.judged, town.ended) == (4, [ended])


async def test_a_case_that_had_not_begun_is_handed_out_again(client: Client) -> None:
    campaign, town = campaign_of(SEEDS), StandIns(cases=4, not_begun={"case-1"})
    town.going.set()
    async with town.polling(client, campaign):
        ended = await (await start(client, campaign, LIMITS)).result()

    assert (ended.judged, ended.never) == (4, ())
    assert town.began["case-1"] == 2


async def test_a_failure_is_shrunk_before_what_waits(client: Client) -> None:
    """As far as the server's queue has one order: it has several partitions."""
    campaign, town = campaign_of(SEEDS), StandIns(cases=2, shrinks={"case-1"})
    town.going.set()
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS)
        await handle.result()
        history = await handle.fetch_history()

    keys = {
        event.activity_task_scheduled_event_attributes.activity_id: (
            event.activity_task_scheduled_event_attributes.priority.priority_key
        )
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    }
    assert (keys["case-0"], keys["case-1"]) == (0, 1)


async def test_a_plan_that_fails_ends_it_with_its_sentence(client: Client) -> None:
    campaign, town = campaign_of(EXPLORE), StandIns(cases=4, wrong_plan="there is no spec order.")
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()

    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.message == "there is no spec order."
    assert [(ended.why, ended.judged) for ended in town.ended] == [("there is no spec order.", 0)]
    assert not town.turns


async def test_a_search_that_fails_ends_it_when_what_is_open_has_ended(client: Client) -> None:
    campaign, town = campaign_of(SEEDS), StandIns(cases=8, wrong_choice="the store is damaged.")
    town.going.set()
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS)
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    assert [(ended.why, ended.judged) for ended in town.ended] == [("the store is damaged.", 4)]


async def test_its_histories_replay(client: Client) -> None:
    campaign, town = campaign_of(SEEDS, minutes=600), StandIns(cases=40, silent={"case-1"})
    async with town.polling(client, campaign):
        handle = await start(client, campaign, LIMITS.model_copy(update={"most_events": 80}))
        await town.until_begun(4)
        await handle.signal(CampaignWorkflow.pause)
        town.going.set()
        await handle.signal(CampaignWorkflow.resume)
        await handle.result()

    replayer = Replayer(
        workflows=[CampaignWorkflow],
        workflow_runner=runner(),
        data_converter=client.data_converter,
        build_id="replay",
    )
    runs = client.list_workflows(f"WorkflowId = '{campaign.campaign_id}'")
    result = await replayer.replay_workflows(runs.map_histories(), raise_on_replay_failure=True)
    assert not result.replay_failures
