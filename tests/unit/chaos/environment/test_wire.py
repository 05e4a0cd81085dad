from __future__ import annotations

from pathlib import Path

from chaos.environment.wire import line_name, link_of, plain, upstream_of
from chaos.wire.journal import client_of
from chaos.wire.specs import Upstream

ADDRESS = "cloud.test:7233"
SECURE = {
    "TEMPORAL_ADDRESS": ADDRESS,
    "TEMPORAL_NAMESPACE": "shop",
    "TEMPORAL_TLS": "true",
    "TEMPORAL_TLS_SERVER_NAME": "temporal.test",
    "TEMPORAL_TLS_SERVER_CA_CERT_DATA": "authority",
    "TEMPORAL_TLS_CLIENT_CERT_DATA": "certificate",
    "TEMPORAL_TLS_CLIENT_KEY_DATA": "key",
}
WITH_A_KEY = {"TEMPORAL_ADDRESS": ADDRESS, "TEMPORAL_API_KEY": "k"}


def test_lines_are_called_after_who_has_them() -> None:
    assert line_name("worker-1", "server") == "worker-1"
    assert line_name("worker-1", "payments") == "worker-1>payments"
    assert [link_of("worker-1"), link_of("worker-1>payments")] == [
        "worker-1>server",
        "worker-1>payments",
    ]
    assert client_of("fleet-1>payments") == "fleet-1"


def test_the_wire_speaks_tls_in_the_place_of_the_worker(tmp_path: Path) -> None:
    found = upstream_of(ADDRESS, SECURE, tmp_path / "tls")

    assert (found.tls, found.server_name) == (True, "temporal.test")
    files = [Path(f) for f in (found.ca_file, found.certificate_file, found.key_file)]
    assert [file.read_text() for file in files] == ["authority", "certificate", "key"]
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700
    assert plain(SECURE) == {"TEMPORAL_ADDRESS": ADDRESS, "TEMPORAL_NAMESPACE": "shop"}


def test_with_an_api_key_there_is_tls_and_the_worker_is_told_to_use_none(tmp_path: Path) -> None:
    assert upstream_of(ADDRESS, WITH_A_KEY, tmp_path) == Upstream(address=ADDRESS, tls=True)
    assert plain(WITH_A_KEY) == {**WITH_A_KEY, "TEMPORAL_TLS": "false"}


def test_behind_a_proxy_the_server_is_still_asked_for_by_its_own_name(tmp_path: Path) -> None:
    found = upstream_of("127.0.0.1:4000", WITH_A_KEY, tmp_path)

    assert (found.address, found.server_name) == ("127.0.0.1:4000", "cloud.test")


def test_without_tls_there_is_none_and_nothing_is_changed(tmp_path: Path) -> None:
    environment = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}

    assert upstream_of("127.0.0.1:1", environment, tmp_path / "tls") == Upstream(
        address="127.0.0.1:1"
    )
    assert plain(environment) == environment
    assert not (tmp_path / "tls").exists()
