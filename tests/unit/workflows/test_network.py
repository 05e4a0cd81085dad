"""Proxies and certificates that no client can be made with are told by the variable's name."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import certifi
import pytest

from workflows.network import check_network
from workflows.settings import SettingsError

PASSWORD = "sesame"
SECRET = f"me:{PASSWORD}@"
NO_PROXY_IS_ODD = (
    "NO_PROXY has an entry that is not a host; write names and addresses separated by commas, "
    "and IPv6 addresses without brackets or a range."
)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No proxy and no certificates are named."""
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def fault() -> str:
    with pytest.raises(SettingsError) as raised:
        check_network()
    assert PASSWORD not in str(raised.value)
    return str(raised.value)


@pytest.mark.usefixtures("environment")
def test_nothing_need_be_named() -> None:
    check_network()


@pytest.mark.parametrize(
    "url",
    ["http://proxy.test:3128", "https://proxy.test", "proxy.test:3128", f"{SECRET}10.0.0.1:3128"],
)
@pytest.mark.parametrize("hosts", ["", "localhost,.test,10.0.0.0/8,::1,api.test:443"])
def test_a_proxy_may_be_named(environment: pytest.MonkeyPatch, url: str, hosts: str) -> None:
    environment.setenv("HTTPS_PROXY", url)
    environment.setenv("NO_PROXY", hosts)
    check_network()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"])
def test_a_scheme_that_no_proxy_has_is_refused(
    environment: pytest.MonkeyPatch, variable: str
) -> None:
    environment.setenv(variable, f"foo://{SECRET}proxy.test:3128")
    assert fault() == (
        f"{variable} is not a proxy's address; write it like http://proxy.example:3128, "
        "or unset it."
    )


@pytest.mark.parametrize(
    "url",
    [
        f"http://{SECRET}proxy.test:abc",
        f"http://{SECRET}proxy.test:65536",
        f"http://{SECRET}[::1",
        "http://",
        "http://:3128",
        "/proxy.test",
    ],
)
def test_an_address_that_no_proxy_has_is_refused(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("HTTPS_PROXY", url)
    assert fault().startswith("HTTPS_PROXY is not a proxy's address; ")


@pytest.mark.skipif(importlib.util.find_spec("socksio") is not None, reason="it can be served")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_is_refused_without_its_package(
    environment: pytest.MonkeyPatch, scheme: str
) -> None:
    environment.setenv("ALL_PROXY", f"{scheme}://{SECRET}proxy.test:1080")
    assert fault() == (
        "ALL_PROXY names a SOCKS proxy, which needs another package; "
        "install it (pip install socksio), or name an HTTP proxy."
    )


@pytest.mark.parametrize("hosts", ["[::1", "a.test,[::1]:80", "*.test:abc", "fe80::/10"])
def test_an_odd_exception_is_refused(environment: pytest.MonkeyPatch, hosts: str) -> None:
    environment.setenv("NO_PROXY", hosts)
    assert fault() == NO_PROXY_IS_ODD


def test_a_proxy_that_is_never_used_is_no_fault(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "foo://proxy.test")
    environment.setenv("NO_PROXY", "a.test, *")
    check_network()


def test_certificates_may_be_named(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("SSL_CERT_FILE", certifi.where())
    check_network()
    environment.delenv("SSL_CERT_FILE")
    environment.setenv("SSL_CERT_DIR", str(tmp_path))
    check_network()


def test_a_certificate_file_that_is_not_there_is_told(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    assert fault() == (
        "the file that SSL_CERT_FILE names cannot be read (No such file or directory); "
        "correct the variable, or unset it."
    )


def test_a_file_without_certificates_is_told(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no certificate\n")
    environment.setenv("SSL_CERT_FILE", str(file))
    assert fault() == (
        "SSL_CERT_FILE names a file without certificates; name a PEM file, or unset it."
    )


def test_a_certificate_folder_that_is_not_there_is_told(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    assert fault() == "SSL_CERT_DIR names no folder; fix it, or unset it."
