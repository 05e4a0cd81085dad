"""The provider's replies that users met: the client makes of each what is right, and the command
that shows it can say NO.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.cases.__main__ import OWN, Judged, judge_all, main, report
from tests.cases.calls import KEY, Got
from tests.cases.case import Case, CaseError, read_cases
from tests.cases.right import RIGHT, Right
from tests.cases.server import Asked
from workflows.api_errors import ApiError, Outcome
from workflows.gemini import Gemini

CASES = read_cases(OWN)
CALLS = [(case.name, call) for case in CASES for call in case.call]
HERE = Asked("POST", "/v1beta/models/m:generateContent", "127.0.0.1:1", KEY)


class Careless(Gemini):
    """Takes every error for one that another try mends."""

    def _without_key(self, error: ApiError) -> ApiError:
        return ApiError(error.code, str(error), Outcome.RETRYABLE, error.retry_after_seconds)


class Blind(Gemini):
    """Hides no key."""

    def _without_key(self, error: ApiError) -> ApiError:
        return error


@pytest.fixture(scope="module")
def judged() -> dict[tuple[str, str], Judged]:
    return {(each.case.name, each.call): each for each in asyncio.run(judge_all(CASES))}


@pytest.mark.parametrize("call", CALLS, ids="-".join)
def test_a_case_ends_as_is_right(
    judged: dict[tuple[str, str], Judged], call: tuple[str, str]
) -> None:
    found = judged[call]
    assert found.agrees in {"yes", "explained"}, str(found)


def test_only_the_case_that_is_older_than_the_rule_needs_an_explanation(
    judged: dict[tuple[str, str], Judged],
) -> None:
    explained = [name for (name, _), each in judged.items() if each.agrees == "explained"]
    assert explained == ["i-several"]


def test_every_case_can_be_judged() -> None:
    assert {case.name for case in CASES} == set(RIGHT)


def test_a_client_that_tries_everything_again_is_told_no() -> None:
    found = asyncio.run(judge_all(CASES, Careless))
    wrong = {(each.case.name, each.call) for each in found if each.agrees == "NO"}
    assert wrong == {
        (name, call)
        for name, call in CALLS
        if RIGHT[name][call].ends in set(Outcome) - {Outcome.RETRYABLE}
    }
    assert ("s500-internal", "image") in wrong


def test_a_client_that_shows_the_key_is_told_no(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], Blind) == 1
    assert f"because: says '{KEY}'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("right", "got", "problem"),
    [
        pytest.param(Right("uri"), Got("a video", (HERE,)), "not 'uri'", id="another thing"),
        pytest.param(
            Right("uri"),
            Got("uri", (HERE,), code="crash"),
            "not 'uri'",
            id="a crash with its words",
        ),
        pytest.param(
            Right(Outcome.LOST), Got("gone", (HERE,)), "not lost", id="no error where one is right"
        ),
        pytest.param(
            Right("", says=("Expired",)),
            Got("gone", (HERE,)),
            "does not say 'Expired'",
            id="silent",
        ),
        pytest.param(
            Right("", hides=("Model",)), Got("the model", (HERE,)), "says 'Model'", id="talkative"
        ),
        pytest.param(Right(""), Got("<b>", (HERE,)), "says '<'", id="HTML"),
        pytest.param(Right(""), Got("", (HERE, HERE)), "2 requests", id="sent twice"),
        pytest.param(
            Right("", wait_seconds=(40, 40)), Got("", (HERE,)), "waits None s", id="no wait"
        ),
        pytest.param(
            Right("", wait_seconds=(40, 40)),
            Got("", (HERE,), retry_after_seconds=27),
            "waits 27 s",
            id="another wait",
        ),
        pytest.param(
            Right("", requests=2),
            Got("", (HERE, Asked("GET", "/", "localhost:1", KEY))),
            "the key went to another host",
            id="key elsewhere",
        ),
    ],
)
def test_what_is_not_right_is_named(right: Right, got: Got, problem: str) -> None:
    assert problem in list(right.problems(got))


def test_what_is_right_has_no_problem() -> None:
    got = Got("Gone: expired.", (HERE,), Outcome.LOST, "Expired", 40)
    right = Right(Outcome.LOST, says=("gone",), hides=("model",), wait_seconds=(40, 40))
    assert list(right.problems(got)) == []


def write_case(folder: Path, **fields: object) -> None:
    case = {"call": "video", "status": 429, "text": "", "right": "retry", **fields}
    (folder / "x-new.json").write_text(json.dumps(case))


def test_a_case_that_nothing_is_known_of_is_shown_and_not_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_case(tmp_path)
    assert main([str(tmp_path)]) == 0
    line, _, total = capsys.readouterr().out.splitlines()
    assert line.startswith(
        "?         x-new                    video    got: retryable Unavailable:"
    )
    assert line.endswith("| right: retry")
    assert total == "1 cases, 1 calls: 0 agree, 0 explained, 0 disagree, 1 not judged"


@pytest.mark.parametrize("broken", [{"call": "audio"}, {"status": "x"}, {"right": None}])
def test_a_file_that_is_no_case_is_told_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: dict[str, object]
) -> None:
    write_case(tmp_path, **broken)
    assert main([str(tmp_path)]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith(f"{tmp_path / 'x-new.json'} is no case: {next(iter(broken))}")


@pytest.mark.parametrize("text", ["", "[1]", "5", '"x"', "{"])
def test_a_file_that_is_no_object_is_no_case(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(CaseError, match=r"x\.json is no case: "):
        read_cases(tmp_path)


def test_a_folder_that_is_not_there_is_told_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'none'} is no folder with cases (*.json).\n"


def test_a_crash_is_a_finding() -> None:
    case = Case(name="s500-internal", call=("image",), status=500, right="ambiguous")
    judged = Judged(case, "image", Got("KeyError: 'x'", (HERE,), code="crash"), "NO", "not it")
    line, _ = report([judged])
    assert "got: crash: KeyError: 'x'" in line
