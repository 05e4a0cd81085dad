"""What the video workflows are asked for, as it is made, changed, saved and read."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.common import RawValue

from chaos.evidence.bills import Charge
from chaos.evidence.history import Status
from chaos.evidence.spec import OLD_SPECS, cost_usd, load_specs, save_specs
from tests.chaos.video.fake_api.bills import Item
from tests.chaos.video.specs import VideoSpec, series, single
from tests.chaos.video.target import VIDEO
from tests.unit.kept import EVIDENCE
from workflows.models import SingleVideoInput

OLD = sorted(EVIDENCE.glob(f"*/*/{OLD_SPECS}"))
assert len(OLD) >= 10


def _things(spec: VideoSpec) -> list[tuple[str, str]]:
    return [charge.thing for charge in spec.charges]


def _loaded(folder: Path) -> tuple[VideoSpec, ...]:
    specs = load_specs(folder, VideoSpec)
    assert all(isinstance(spec, VideoSpec) for spec in specs)
    return tuple(spec for spec in specs if isinstance(spec, VideoSpec))


def test_a_single_video_is_charged_for_its_character_and_its_video() -> None:
    spec = single("w")

    assert _things(spec) == [("image", spec.character_prompt), ("video", spec.video_prompts[0])]
    assert cost_usd(spec, VIDEO.billing) == Decimal("1.239")
    assert list(spec.steps.values()) == ["character", "video-001"]


def test_a_series_is_charged_for_each_video_and_passes_a_checkpoint_after_each() -> None:
    spec = series("w", 3)

    assert [item for item, _ in _things(spec)] == ["image", "video", "video", "video"]
    assert cost_usd(spec, VIDEO.billing) == Decimal("3.639")
    assert list(spec.steps) == [spec.character_prompt, *spec.video_prompts]
    assert spec.checkpoints[2:] == (
        *("video_1_complete", "video_2_complete", "video_3_complete"),
        "all_complete",
    )


def test_no_two_workflows_share_a_prompt() -> None:
    prompts = [p for spec in (single("a"), single("b"), series("c", 2)) for p in spec.prompts]

    assert len(prompts) == len(set(prompts))


def test_other_prompts_are_sent_and_charged_for_in_place_of_the_first() -> None:
    spec = single("w").asking(character="a knight", videos=("the knight rides",))

    assert spec.arguments == (
        SingleVideoInput(character_prompt="a knight", video_prompt="the knight rides"),
    )
    assert _things(spec) == [("image", "a knight"), ("video", "the knight rides")]
    assert spec.prompts == ("a knight", "the knight rides")


def test_of_other_prompts_no_more_are_made_than_of_the_first() -> None:
    spec = series("w", 2).but_made(2).asking(videos=("one", "two"))

    assert [key for _, key in _things(spec)][1:] == ["one"]


@pytest.mark.parametrize("made", [0, 1, 2, 3])
def test_only_what_is_made_is_charged_for_the_character_first(made: int) -> None:
    whole = series("w", 2)

    spec = whole.but_made(made, {"status": Status.FAILED})

    assert spec.charges == whole.charges[:made]
    assert (spec.status, spec.prompts) == (Status.FAILED, whole.prompts)


async def test_a_spec_is_read_back_with_its_arguments_as_they_were_sent(tmp_path: Path) -> None:
    specs = (single("a"), series("b", 2).but_made(1, {"attempts": {"start_video": (1, 3)}}))
    await save_specs(tmp_path, specs, VIDEO.data_converter)

    loaded = _loaded(tmp_path)

    for read, spec in zip(loaded, specs, strict=True):
        assert read == spec.model_copy(update={"arguments": read.arguments})
        (argument,) = read.arguments
        assert isinstance(argument, RawValue)
        kinds = [type(each) for each in spec.arguments]
        assert await VIDEO.data_converter.decode([argument.payload], kinds) == [*spec.arguments]


@pytest.mark.parametrize("file", OLD, ids=lambda f: f"{f.parent.parent.name}/{f.parent.name}")
def test_what_older_versions_wrote_down_is_charged_for_as_it_was_made(file: Path) -> None:
    raw = json.loads(file.read_text())
    loaded = _loaded(file.parent)

    assert len(loaded) == len(raw) > 0
    for spec, old in zip(loaded, raw, strict=True):
        prompts = [
            ("image", old["character_prompt"]),
            *(("video", p) for p in old["video_prompts"]),
        ]
        assert _things(spec) == prompts[: old["made"]]
        assert list(spec.may_be_charged_twice) == old["may_be_billed_twice"]
        assert (spec.workflow_type, spec.status) == (old["workflow_type"], old["status"])
        assert spec.attempts == old["attempts"]
        assert spec.checkpoints == tuple(old["checkpoints"])


def test_an_image_and_a_video_of_one_prompt_are_two_things() -> None:
    spec = single("w").asking(character="the same", videos=("the same",))

    assert dict(spec.due) == {("image", "the same"): 1, ("video", "the same"): 1}
    assert Charge(item=Item.IMAGE, key="k").thing == ("image", "k")
