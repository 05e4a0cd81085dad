from __future__ import annotations

import h11
import pytest

from chaos.wire.http_gate import KEY_CHARACTERS, idempotency_key_of, subject_of


def request(target: str = "/", **headers: str) -> h11.Request:
    given = [("Host", "it"), *((name.replace("_", "-"), value) for name, value in headers.items())]
    return h11.Request(method="POST", target=target, headers=given)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/charges", "/charges"),
        ("/", "/"),
        ("/charges/ch_123/refund", "/charges/*/refund"),
        ("/v1/Charges/", "/*/Charges/"),
        ("/charges?key=secret", "/charges"),
        ("/charges?back=/a/b?c", "/charges"),
        ("/charges#secret", "/charges"),
        ("?secret", "/"),
        ("http://user:secret@it:8080/charges?key=secret", "/charges"),
        ("http://it", "/"),
        ("/v1/models/image-3.1:generate", "/*/models/*:generate"),
        ("/a%20b/c", "/*/c"),
        ("/to/http://it/x", "/to/http://it/x"),
        ("*", "*"),
    ],
)
def test_a_path_is_named_without_what_is_of_one_call_alone(target: str, path: str) -> None:
    assert subject_of(request(target)) == f"POST {path}"


@pytest.mark.parametrize(
    "name",
    ["Idempotency_Key", "x_idempotency_key", "PayPal_Request_Id", "Repeatability_Request_ID"],
)
def test_a_key_is_found_in_the_headers_that_services_know(name: str) -> None:
    assert idempotency_key_of(request(**{name: "order-7"})) == "order-7"


@pytest.mark.parametrize("name", ["X_Request_Id", "Authorization", "Cookie", "Key"])
def test_what_is_new_for_each_attempt_or_a_secret_is_no_key(name: str) -> None:
    assert idempotency_key_of(request(**{name: "7"})) == ""


def test_of_a_very_long_key_there_is_the_hash() -> None:
    long = "k" * (KEY_CHARACTERS + 1)
    assert idempotency_key_of(request(Idempotency_Key=long[:-1])) == long[:-1]
    first, second = (idempotency_key_of(request(Idempotency_Key=long + end)) for end in "ab")
    assert first.startswith("sha256:")
    assert len(first) <= KEY_CHARACTERS
    assert first != second


def test_an_empty_key_is_none() -> None:
    assert idempotency_key_of(request(Idempotency_Key="")) == ""
    assert idempotency_key_of(request(Idempotency_Key="", X_Idempotency_Key="a")) == "a"
