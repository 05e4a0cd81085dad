"""A page token comes back as it went, and nobody but the service can make one."""

from __future__ import annotations

import base64
import hashlib

import pytest

from workflows.service.errors import Problem
from workflows.service.positions import Positions

_POSITION = b'{"a": 1}'


def refusal(token: str) -> str:
    with pytest.raises(Problem) as raised:
        Positions().position(token)
    assert raised.value.status == 400
    return raised.value.sentence


def test_a_page_token_comes_back_as_it_went() -> None:
    positions = Positions()
    for position in (b"x", _POSITION, bytes(range(256))):
        token = positions.token(position)
        assert token.isascii()
        assert "=" not in token
        assert positions.position(token) == position


@pytest.mark.parametrize("wrong", ["", "x", "!", "é", "AAAA", "AAAAAAAA", "QUJDREVGRw"])
def test_a_page_token_of_another_is_refused(wrong: str) -> None:
    assert refusal(wrong) == (
        "pageToken was not issued by this service since its start; start again with the first page."
    )


def test_a_page_token_cannot_be_forged_by_who_knows_how_it_is_made() -> None:
    for size in (6, 16):
        sealed = hashlib.sha256(_POSITION).digest()[:size] + _POSITION
        assert refusal(base64.urlsafe_b64encode(sealed).decode().rstrip("="))


def test_a_page_token_of_another_process_is_refused() -> None:
    assert refusal(Positions().token(_POSITION))
