"""A service for the tests of lines: `python service.py PORT BOOKS`. What it gets, it echoes.
With a `FOLDER` of certificates as well, it speaks TLS, and asks for its client's.

Each request is put on the books, before it is answered. The path says how: `/chunked` in chunks,
`/half` half of what was promised and no more, `/early` before the body was read, `/none` not at
all, `/bytes-N` so many of its own, `/nonsense` not in HTTP; `/closing` ends the connection
afterwards.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BLOCK = bytes(range(256)) * 256
_LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    books: Path

    def do_POST(self) -> None:
        if self.path == "/early":
            self._book("")
            self.close_connection = True
            self._reply(413, b"too much")
            return
        digest, echo, size = hashlib.sha256(), b"", 0
        for part in self._body():
            digest.update(part)
            size += len(part)
            echo = echo + part if size <= 1 << 20 else b""
        self._book(digest.hexdigest())
        if self.path == "/none":
            threading.Event().wait()
        elif self.path == "/nonsense":
            self.wfile.write(b"certainly\r\n\r\n")
            self.close_connection = True
        elif self.path == "/half":
            self.send_response(200)
            self.send_header("Content-Length", str(2 * len(BLOCK)))
            self.end_headers()
            self.wfile.write(BLOCK)
            self.wfile.flush()
            threading.Event().wait()
        elif self.path.startswith("/bytes-"):
            self._stream(int(self.path.removeprefix("/bytes-")))
        else:
            self._reply(200, echo or digest.hexdigest().encode())

    def do_PUT(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self._book("")
        self.send_response(204)
        self.end_headers()

    def do_GET(self) -> None:
        self._book("")
        if self.path == "/not-modified":
            self.send_response(304)
            self.send_header("Content-Length", "1234")
            self.end_headers()
        elif self.path.startswith("/bytes-"):
            self._stream(int(self.path.removeprefix("/bytes-")))
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Trailer", "X-Sum")
            self.end_headers()
            self.wfile.write(b"3\r\none\r\n3\r\ntwo\r\n0\r\nX-Sum: 6\r\n\r\n")
        else:
            content = json.dumps(self.headers.items()).encode()
            self._reply(200, content)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Quiet."""

    def handle_expect_100(self) -> bool:
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", "0"))
        while left and (part := self.rfile.read(min(left, len(BLOCK)))):
            left -= len(part)
            yield part
        if left:
            self._book("broken off")
            sys.exit()

    def _book(self, digest: str) -> None:
        line = json.dumps([f"{self.command} {self.path}", digest])
        with _LOCK, self.books.open("a") as file:
            file.write(line + "\n")

    def _reply(self, status: int, content: bytes) -> None:
        self.send_response(status, "As It Was")
        self.send_header("X-Twice", "1")
        self.send_header("X-Twice", "2")
        self.send_header("Content-Length", str(len(content)))
        if self.path == "/closing":
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _stream(self, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        while size:
            part = BLOCK[:size]
            self.wfile.write(part)
            size -= len(part)


class Service(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


if __name__ == "__main__":
    Handler.books = Path(sys.argv[2])
    Handler.books.touch()
    service = Service(("127.0.0.1", int(sys.argv[1])), Handler)
    if sys.argv[3:]:
        folder = Path(sys.argv[3])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(folder / "server.pem")
        service.socket = context.wrap_socket(service.socket, server_side=True)
    service.serve_forever()
