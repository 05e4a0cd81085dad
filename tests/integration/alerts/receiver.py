"""A receiver of alerts on loopback, over HTTP, that can hang or refuse."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "hush-hush"


@dataclass
class HttpReceiver:
    """`asked` has the texts of all requests, `accepted` of those that were answered with 200. A
    request that comes while `hangs` is never answered; `status` is the answer to the others.
    """

    port: int
    status: int = 200
    hangs: bool = False
    asked: list[str] = field(default_factory=list)
    accepted: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """As Apprise has it, with a secret in each of its parts."""
        return f"json://{SECRET}:{SECRET}@127.0.0.1:{self.port}/{SECRET}/"

    def answer(self, text: str) -> int | None:
        """The status for a request, or None for no answer."""
        self.asked.append(text)
        if self.hangs:
            self.over.wait()
            return None
        if self.status == 200:
            self.accepted[text] += 1
        return self.status


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if status := receiver.answer(body["message"]):
                self.send_response(status)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = HttpReceiver(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.over.set()
            server.shutdown()
            thread.join()
