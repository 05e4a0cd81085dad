"""How a run reaches a cluster that others run, and what it says where it cannot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from temporalio.envconfig import ClientConfig
from temporalio.service import TLSConfig

from chaos.environment.external import Connection, ExternalFactory, innermost
from chaos.environment.factory import ProcessFactory
from chaos.environment.temporal import StackSpec
from chaos.evidence.journal import Journal
from chaos.process.child import ChildError

KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"
PLAIN = {"TEMPORAL_ADDRESS": "temporal.test:7233", "TEMPORAL_NAMESPACE": "theirs"}
CLOUD = {**PLAIN, "TEMPORAL_API_KEY": "a-key-of-the-cloud"}
UNPROTECTED = {**CLOUD, "TEMPORAL_TLS": "false"}
MUTUAL = {
    **PLAIN,
    "TEMPORAL_TLS": "true",
    "TEMPORAL_TLS_SERVER_NAME": "inner.test",
    "TEMPORAL_TLS_SERVER_CA_CERT_DATA": "an authority",
    "TEMPORAL_TLS_CLIENT_CERT_DATA": "a certificate",
    "TEMPORAL_TLS_CLIENT_KEY_DATA": KEY,
    "TEMPORAL_GRPC_META_AUTHORIZATION": "Bearer of-a-long-token",
}


@pytest.fixture
def set_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Nothing of the user's own is configured."""
    for name in list(os.environ):
        if name.startswith("TEMPORAL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return monkeypatch


@pytest.mark.parametrize("given", [PLAIN, CLOUD, UNPROTECTED, MUTUAL])
def test_a_worker_gets_the_same_connection_by_its_environment_alone(
    given: Mapping[str, str], set_only: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        set_only.setenv(name, value)
    connection = Connection.load()

    read_again = ClientConfig.load_client_connect_config(
        disable_file=True, override_env_vars=dict(connection.environment)
    )
    assert read_again == {"target_host": connection.address, **connection.options}
    assert (connection.address, connection.namespace) == ("temporal.test:7233", "theirs")


def test_a_configuration_file_counts_too(set_only: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[profile.default]\naddress = "filed.test:1"\nnamespace = "filed"\n')
    set_only.setenv("TEMPORAL_CONFIG_FILE", str(file))

    assert Connection.load().environment == {
        "TEMPORAL_ADDRESS": "filed.test:1",
        "TEMPORAL_NAMESPACE": "filed",
    }


def test_keys_and_tokens_are_secrets_and_certificates_are_not(
    set_only: pytest.MonkeyPatch,
) -> None:
    for name, value in {**CLOUD, **MUTUAL}.items():
        set_only.setenv(name, value)
    connection = Connection.load()

    assert set(connection.secrets) == {
        "a-key-of-the-cloud",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        "Bearer of-a-long-token",
    }
    assert not [secret for secret in connection.secrets if secret in repr(connection)]


def test_without_a_configuration_there_is_no_secret_to_look_for(
    set_only: pytest.MonkeyPatch,
) -> None:
    del set_only
    assert Connection.load().secrets == []


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            'message: "transport error", { error: "received fatal alert: CertificateRequired" }',
            "received fatal alert: CertificateRequired",
        ),
        (
            'InvalidCertificate(NotValidForNameContext { expected: "a", presented: ["b"] })',
            "NotValidForNameContext",
        ),
        ("tonic::transport::Error(Transport, PrivateKeyParseError)", "PrivateKeyParseError"),
        ("no\nlayers", "no layers"),
    ],
)
def test_of_a_nested_error_its_cause_is_told(text: str, cause: str) -> None:
    assert innermost(text) == cause


async def test_two_runs_of_one_second_share_no_name(tmp_path: Path) -> None:
    connection = Connection("there:1", {"namespace": "theirs", "tls": TLSConfig()})
    journal = Journal(tmp_path / "journal.jsonl", print)
    site = ProcessFactory("tag", tmp_path, tmp_path, journal, "concurrency-one_worker")
    factories = [ExternalFactory.for_run(connection, "2026-01-02T03-04-05Z") for _ in range(2)]

    prefixes = [(await factory.make(StackSpec(), site)).prefix for factory in factories]

    assert len(set(prefixes)) == 2
    for prefix in prefixes:
        assert prefix.startswith("chaos-2026-01-02T03-04-05Z-")
        assert prefix.endswith("-concurrency-one_worker-")
    with pytest.raises(ChildError, match="cannot be configured"):
        await factories[0].make(StackSpec(dynamic_config={"a": "1"}), site)
    journal.close()
