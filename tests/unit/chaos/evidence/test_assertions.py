"""What the SDKs for Python and Go have written, and what becomes of damage."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from chaos.evidence.assertions import (
    MOST_BYTES,
    AssertionsError,
    assertions_file,
    put_aside,
    read_assertions,
    to_be_met,
)

WRITTEN = Path(__file__).parents[3] / "data" / "assertions"


def _case(folder: Path, *names: str) -> Path:
    for name in names:
        shutil.copy(WRITTEN / f"{name}.jsonl", assertions_file(folder, f"worker-{name}"))
    return folder


def test_what_was_declared_and_reached_is_read(tmp_path: Path) -> None:
    assert to_be_met(read_assertions(_case(tmp_path, "once"))) == {
        "Always: an order has an id": True,
        "Sometimes: a charge was asked for twice": False,
        "Reachable: a charge was found on the books": False,
        "Sometimes: a parcel came back": False,
    }


def test_what_one_worker_has_seen_counts_for_all(tmp_path: Path) -> None:
    met = to_be_met(read_assertions(_case(tmp_path, "once", "again")))

    assert [name for name, is_met in met.items() if not is_met] == ["Sometimes: a parcel came back"]


def test_what_must_never_be_is_violated_where_it_was_reached(tmp_path: Path) -> None:
    found = read_assertions(_case(tmp_path, "once", "again"))

    assert [(each.name, each.place) for each in found if each.is_violated] == [
        ("AlwaysOrUnreachable: money is positive", "shop.py:10"),
        ("Unreachable: a parcel left without a charge", "shop.py:11"),
    ]


def test_go_writes_the_same_and_what_its_sdk_says_of_its_build_is_left_out(tmp_path: Path) -> None:
    found = read_assertions(_case(tmp_path, "go"))

    assert to_be_met(found) == {
        "Sometimes: a charge was asked for twice": False,
        "Reachable: worker began": True,
        "Always: money is positive": True,
    }
    assert [each.name for each in found if each.is_violated] == ["Always: money is positive"]


def test_an_unfinished_line_is_left_out_and_other_damage_is_not(tmp_path: Path) -> None:
    file = assertions_file(tmp_path, "worker-1")
    whole = (WRITTEN / "once.jsonl").read_text()
    file.write_text(whole + '{"antithesis_assert": {"cond')
    assert len(read_assertions(tmp_path)) == whole.count("antithesis_assert")

    for damage in ("nonsense\n", '{"antithesis_assert": {"hit": true}}\n', "[" * 100_000 + "\n"):
        file.write_text(damage)
        with pytest.raises(AssertionsError, match="line 1 of assertions-worker-1"):
            read_assertions(tmp_path)


def test_a_file_that_is_none_or_too_large_is_said_in_a_sentence(tmp_path: Path) -> None:
    file = assertions_file(tmp_path, "worker-1")
    with file.open("wb") as written:
        written.truncate(MOST_BYTES + 1)
    with pytest.raises(
        AssertionsError, match=r"assertions-worker-1.* cannot be read .*larger than"
    ):
        read_assertions(tmp_path)

    file.unlink()
    os.mkfifo(file)
    with pytest.raises(AssertionsError, match="it is a pipe or a device"):
        read_assertions(tmp_path)


def test_the_file_of_an_earlier_start_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    file = assertions_file(tmp_path, "worker-1")
    put_aside(file)
    for name in ("again", "once"):
        shutil.copy(WRITTEN / f"{name}.jsonl", file)
        put_aside(file)
    shutil.copy(WRITTEN / "go.jsonl", file)

    assert len(list(tmp_path.iterdir())) == 3
    assert to_be_met(read_assertions(tmp_path))["Sometimes: a charge was asked for twice"]
