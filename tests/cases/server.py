"""A provider that gives every call the reply of one case, and notes what it was asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.cases.case import Case

MP4 = b"\0\0\0\x18ftypisom" + bytes(12)


@dataclass(frozen=True)
class Asked:
    """One request, with the key that it brought along, if any."""

    method: str
    path: str
    host: str
    key: str | None


class Provider:
    """An HTTP server of this machine; `base_url` is its address.

    What a redirect leads to is a small video.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._case: Case | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def play(self, case: Case) -> None:
        """Answer by this case from now on, with nothing asked yet."""
        self._case = case
        self.asked = []

    def _reply(self, path: str) -> tuple[int, dict[str, str], bytes]:
        case = self._case
        if case is None:
            return HTTPStatus.NOT_FOUND, {}, b""
        fields = case.fields(self.base_url)
        if fields.get("location", "").partition("://")[2].partition("/")[2] == path[1:]:
            return HTTPStatus.OK, {"content-type": "video/mp4"}, MP4
        return case.status, fields, case.content(self.base_url)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # a reply leaves at once, not its body 40 ms after its head

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                key = self.headers.get("x-goog-api-key")
                host = self.headers.get("host", "")
                provider.asked.append(Asked(self.command, self.path, host, key))
                status, fields, content = provider._reply(self.path)
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                has_body = status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
                # A case that says how long its reply is may break off before that.
                self.close_connection = bool({"content-length", "transfer-encoding"} & {*fields})
                if has_body and not self.close_connection:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                if has_body:
                    self.wfile.write(content)

            do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

            def log_message(self, *_: object) -> None:
                """Say nothing: the command prints what matters."""

        return Handler
