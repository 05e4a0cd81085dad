"""The provider's replies that users met: the client makes of each what is right."""

from __future__ import annotations

import asyncio

import pytest

from tests.cases.calls import KEY, Got, play
from tests.cases.case import CallName, read_cases
from tests.cases.right import RIGHT, Right
from tests.cases.server import Asked
from workflows.api_errors import ApiError, Outcome
from workflows.gemini import Gemini

CASES = {case.name: case for case in read_cases()}
CALLS = [(case.name, call) for case in CASES.values() for call in case.call]
HERE = Asked("POST", "/v1beta/models/m:generateContent", "127.0.0.1:1", KEY)


class Careless(Gemini):
    """Takes every error for one that another attempt can fix."""

    def _without_key(self, error: ApiError) -> ApiError:
        return ApiError(error.code, str(error), Outcome.RETRYABLE, error.retry_after_seconds)


class Blind(Gemini):
    """Hides no key."""

    def _without_key(self, error: ApiError) -> ApiError:
        return error


@pytest.fixture(scope="module")
def got() -> dict[tuple[str, CallName], Got]:
    return asyncio.run(play([*CASES.values()]))


@pytest.mark.parametrize(("name", "call"), CALLS, ids="-".join)
def test_a_case_ends_as_is_right(
    got: dict[tuple[str, CallName], Got], name: str, call: CallName
) -> None:
    found = got[name, call]

    assert list(RIGHT[name][call].problems(found)) == [], f"{found}; {CASES[name].right}"


def test_every_case_can_be_judged() -> None:
    assert CASES.keys() == RIGHT.keys()


def test_a_client_that_tries_everything_again_is_wrong() -> None:
    found = asyncio.run(play([*CASES.values()], Careless))
    wrong = {each for each, one in found.items() if any(RIGHT[each[0]][each[1]].problems(one))}
    assert wrong == {
        (name, call)
        for name, call in CALLS
        if RIGHT[name][call].ends in set(Outcome) - {Outcome.RETRYABLE}
    }
    assert ("s500-internal", "image") in wrong


def test_a_client_that_shows_the_key_is_wrong() -> None:
    found = asyncio.run(play([*CASES.values()], Blind))
    problems = [p for (name, call), one in found.items() for p in RIGHT[name][call].problems(one)]
    assert f"says '{KEY}'" in problems


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
