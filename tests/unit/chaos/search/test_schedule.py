from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from chaos.search.draw import Wishes, draw
from chaos.search.schedule import FILE, ScheduleError, load_of, read_schedule, schedules_of
from tests.chaos.video.specs import series, single
from tests.chaos.video.target import VIDEO
from tests.unit.chaos.search.guest import GUEST, large_order, order

RECORDED = Path(__file__).parents[3] / "data" / "evidence" / "seeded" / "seed_4" / FILE
"""Of schema 1."""


def test_a_schedule_that_is_written_is_read_again_as_it_was(tmp_path: Path) -> None:
    schedule = draw(5, Wishes(), GUEST)
    schedule.write(tmp_path)

    assert read_schedule(tmp_path / FILE) == schedule


def test_the_schedules_of_a_run_are_found(tmp_path: Path) -> None:
    drawn = [draw(seed, Wishes(), GUEST) for seed in (1, 2)]
    for schedule in drawn:
        folder = tmp_path / "seeded" / schedule.name
        folder.mkdir(parents=True)
        schedule.write(folder)

    assert list(schedules_of(tmp_path)) == drawn


def test_a_file_stands_for_its_own_schedule(tmp_path: Path) -> None:
    schedule = draw(5, Wishes(), GUEST)
    schedule.write(tmp_path)

    assert schedules_of(tmp_path / FILE) == (schedule,)


def test_a_run_without_schedules_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ScheduleError, match=r"has no schedule\.json: name the folder of a run"):
        schedules_of(tmp_path)


def test_a_damaged_schedule_is_told_with_its_place(tmp_path: Path) -> None:
    text = draw(5, Wishes(), GUEST).model_dump_json(by_alias=True)
    (tmp_path / FILE).write_text(text.replace('"workers":3', '"workers":0'))

    with pytest.raises(ScheduleError, match="is not a schedule: workers: "):
        read_schedule(tmp_path / FILE)


def test_a_file_that_is_not_json_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")

    with pytest.raises(ScheduleError, match="is not a schedule: the file: "):
        read_schedule(tmp_path / FILE)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScheduleError, match="cannot be read"):
        read_schedule(tmp_path / FILE)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e30", "-1"])
@pytest.mark.parametrize("field", ["at_seconds", "lasting_seconds", "duration_seconds"])
def test_a_time_that_nobody_could_wait_for_is_told(tmp_path: Path, field: str, number: str) -> None:
    text = draw(5, Wishes(), GUEST).model_dump_json(by_alias=True)
    changed = re.sub(rf'"{field}":[0-9.]+', f'"{field}":{number}', text, count=1)
    assert changed != text
    (tmp_path / FILE).write_text(changed)

    with pytest.raises(ScheduleError, match=field):
        read_schedule(tmp_path / FILE)


def test_a_pipe_in_its_place_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)

    with pytest.raises(ScheduleError, match="it is a pipe"):
        read_schedule(tmp_path / FILE)


def test_the_workflows_of_a_schedule_are_those_of_the_targets_specs() -> None:
    schedule = draw(5, Wishes(), GUEST)
    made = {"order": order, "large_order": large_order}

    assert load_of(schedule, GUEST) == tuple(
        made[start.spec](start.workflow_id) for start in schedule.starts
    )


def test_a_schedule_of_schema_1_is_read_and_its_target_still_knows_its_workflows() -> None:
    schedule = read_schedule(RECORDED)

    assert schedule.families == ("api", "kill", "network", "server")
    assert [s.at_seconds for s in schedule.starts] == [0.0, 0.99, 1.49, 2.27, 3.8]
    assert load_of(schedule, VIDEO) == (
        single("load-001"),
        series("load-002", 3),
        single("load-003"),
        series("load-004", 3),
        single("load-005"),
    )


def test_a_schedule_of_schema_1_is_written_as_one_of_schema_3(tmp_path: Path) -> None:
    schedule = read_schedule(RECORDED)
    schedule.write(tmp_path)

    assert '"schema": 3' in (tmp_path / FILE).read_text()
    assert read_schedule(tmp_path / FILE) == schedule


def test_a_schedule_of_somebody_else_is_told_in_one_sentence() -> None:
    with pytest.raises(ScheduleError, match="as 'videos=null', and the target's specs are order, "):
        load_of(read_schedule(RECORDED), GUEST)


def test_a_schedule_of_schema_2_is_read(tmp_path: Path) -> None:
    schedule = draw(5, Wishes(), GUEST)
    text = schedule.model_dump_json(by_alias=True)
    (tmp_path / FILE).write_text(text.replace('"schema":3', '"schema":2'))

    assert read_schedule(tmp_path / FILE) == schedule


@pytest.mark.parametrize("orders", ["7", "[7]", "null"])
def test_a_damaged_schedule_of_schema_1_is_told(tmp_path: Path, orders: str) -> None:
    (tmp_path / FILE).write_text(f'{{"schema": 1, "orders": {orders}}}')

    with pytest.raises(ScheduleError, match="is not a schedule"):
        read_schedule(tmp_path / FILE)
