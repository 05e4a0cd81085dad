"""Stand-ins for the payment provider and the carrier: `python -m orders.doubles PORT BOOKS`.

What is asked for is put on the books at once, and answered a moment later: a client may die in
between. A key that is on the books already gets the answer that it got before, as a real provider
gives it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PRICES_USD = {"charges": Decimal("0.30"), "refunds": Decimal("0.00"), "parcels": Decimal("6.50")}
"""What the shop pays for each."""

ANSWER_SECONDS = float(os.environ.get("ANSWER_SECONDS", "1"))
PADDING_BYTES = int(os.environ.get("PADDING_BYTES", "0"))


class Books:
    """A file with a line for each thing that was sold."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        lines = file.read_text().splitlines() if file.exists() else []
        self._ids: dict[str, str] = {
            (entry := json.loads(line))["key"]: entry["id"] for line in lines
        }

    def book(self, thing: str, key: str, order: dict[str, object]) -> str:
        """Put it on the books, unless it is there; its id."""
        with self._lock:
            if key not in self._ids:
                self._ids[key] = f"{thing}-{len(self._ids) + 1}"
                entry = {
                    "at": time.time(),
                    "thing": thing,
                    "key": key,
                    "id": self._ids[key],
                    "price_usd": str(PRICES_USD[thing]),
                }
                with self._file.open("a") as file:
                    file.write(json.dumps({**entry, **order}) + "\n")
            return self._ids[key]


def serve(port: int, books: Books) -> None:
    """Answer until the process is ended."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            thing = self.path.strip("/")
            order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made = books.book(thing, self.headers["Idempotency-Key"], order)
            time.sleep(ANSWER_SECONDS)
            body = json.dumps({"id": made, "padding": " " * PADDING_BYTES}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Books(Path(sys.argv[2])))
