"""Proxies and certificates as the environment names them, for the way to the API and to webhooks.

httpx reads them when a client is made. What it says of one that it cannot use names no variable,
and may show a proxy's password.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from urllib.request import getproxies

import httpx

from workflows.settings import SettingsError

_HIGHEST_PORT = 65_535


def check_network() -> None:
    """Raises SettingsError where a variable names what no client can be made with."""
    _check_certificates()
    found = getproxies()
    if "*" in [host.strip() for host in found.get("no", "").split(",")]:
        return  # then no proxy is used at all
    for scheme in ("http", "https", "all"):
        if url := found.get(scheme):
            _check_proxy(_variable(scheme, url), url)
    try:
        httpx.AsyncClient(verify=_no_certificates())
    except (ValueError, httpx.InvalidURL):
        raise SettingsError(
            "NO_PROXY has an entry that is not a host; write names and addresses separated by "
            "commas, and IPv6 addresses without brackets or a range."
        ) from None


def _check_certificates() -> None:
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file:
        try:
            ssl.create_default_context(cafile=file)
        except ssl.SSLError:
            raise SettingsError(
                "SSL_CERT_FILE names a file without certificates; name a PEM file, or unset it."
            ) from None
        except OSError as error:
            raise SettingsError(
                f"the file that SSL_CERT_FILE names cannot be read ({error.strerror}); "
                "correct the variable, or unset it."
            ) from None
    # Nobody else would say so: without certificates, every connection is refused later.
    elif folders and not any(Path(each).is_dir() for each in folders.split(os.pathsep)):
        raise SettingsError("SSL_CERT_DIR names no folder; fix it, or unset it.")


def _check_proxy(variable: str, url: str) -> None:
    try:
        proxy = httpx.URL(url if "://" in url else f"http://{url}")
        httpx.AsyncClient(proxy=proxy, trust_env=False, verify=_no_certificates())
    except ImportError:
        raise SettingsError(
            f"{variable} names a SOCKS proxy, which needs another package; "
            "install it (pip install socksio), or name an HTTP proxy."
        ) from None
    except (ValueError, httpx.InvalidURL):
        is_usable = False
    else:
        is_usable = bool(proxy.host) and (proxy.port or 0) <= _HIGHEST_PORT
    if not is_usable:
        raise SettingsError(
            f"{variable} is not a proxy's address; write it like http://proxy.example:3128, "
            "or unset it."
        )


def _variable(scheme: str, url: str) -> str:
    """What the user calls it: both `https_proxy` and `HTTPS_PROXY` are read."""
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    return next((name for name in names if os.environ.get(name) == url), names[-1])


def _no_certificates() -> ssl.SSLContext:
    """For clients that connect to nobody: to read certificates takes long."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
