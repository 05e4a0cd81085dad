"""An S3 server as a process of its own, moto's, on loopback; a test runs this file as a program."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from chaos.process.child import child_environment
from chaos.process.reaper import Reaper

BUCKET = "campaigns"


@contextmanager
def s3_server(reaper: Reaper, home: Path) -> Iterator[Mapping[str, str]]:
    """A server with a bucket; the environment by which any program finds it. It forgets everything
    at the end.
    """
    with subprocess.Popen(
        [sys.executable, __file__],
        env=child_environment(reaper.run_tag, home, {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            assert port, "the S3 server did not start"
            told(f"http://127.0.0.1:{port}/{BUCKET}")
            yield {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_ACCESS_KEY_ID": "AKIATESTCANARY",
                "AWS_SECRET_ACCESS_KEY": "secret-of-the-bucket",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        finally:
            server.kill()


def told(url: str, method: str = "PUT", body: bytes | None = None) -> None:
    """Send it a request as it is, without a key. Raises OSError where that is refused."""
    request = Request(url, body, {"Content-Type": "text/plain"}, method=method)  # noqa: S310 - ours
    with urlopen(request, timeout=30):  # noqa: S310 - HTTP, as above
        pass


def _serve() -> None:
    """With one thread: S3 decides which of two writers was first, and moto only so."""
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - of this program alone
        DomainDispatcherApplication,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415 - as above

    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=False)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    _serve()
