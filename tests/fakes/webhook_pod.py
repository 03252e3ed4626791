"""A webhook that keeps what reached it. Standard library only: it runs alone, in a pod, from this one file.

``POST /NAME`` answers with JSON; its query may ask for another answer:

===================  ================================================================================================
``seconds=S``        S seconds later
``first=S``          S seconds later for the first request with an Idempotency-Key, at once for those that repeat it
``failures=N``       503 for the first N requests with an Idempotency-Key
``to=URL``           a redirect (307) to this address
===================  ================================================================================================

``GET /received`` returns all requests: time of arrival (Unix time), path, headers and body.
"""

import argparse
import json
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_received: list[dict[str, Any]] = []
_attempts = Counter[str]()
_lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Return what was received, or that the server works."""
        with _lock:
            self._answer(200, list(_received) if self.path == "/received" else {"status": "ok"})

    def do_POST(self) -> None:
        """Keep a request, and answer as its query asks."""
        body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        key = headers.get("idempotency-key", "")
        with _lock:
            _received.append({"at": time.time(), "path": url.path, "headers": headers, "body": body})
            _attempts[key] += 1
            attempt = _attempts[key]
        time.sleep(float(query.get("seconds", "0")) + (float(query.get("first", "0")) if attempt == 1 else 0))
        if "to" in query:
            self._answer(307, {}, location=query["to"])
        elif attempt <= int(query.get("failures", "0")):
            self._answer(503, {"error": "later"})
        else:
            self._answer(200, {"answer": f"{url.path[1:]} is sunny"})

    def _answer(self, status: int, body: Any, **headers: str) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (
            {"content-type": "application/json", "content-length": str(len(content))} | headers
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    """A server for IPv4 and, where the machine has it, IPv6."""

    daemon_threads = True
    request_queue_size = 64
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def server_bind(self) -> None:
        """Take both families of addresses."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--host", default="")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    Server((arguments.host, arguments.port), Handler).serve_forever()
