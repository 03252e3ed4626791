"""JSON documents over HTTPS. Standard library only: it also runs in a pod, beside ``documents.json`` and ``tls.pem``."""

import argparse
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Documents(ThreadingHTTPServer):
    """Serves ``documents`` by their paths; what is not among them is 404. ``asked`` has the paths that were asked for."""

    def __init__(self, address: tuple[str, int], documents: Mapping[str, Any], certificate: Path) -> None:
        super().__init__(address, _Handler)
        self.documents = documents
        self.asked: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield
        self.shutdown()
        self.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Documents

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        found = {"/healthz": {}, **self.server.documents}.get(self.path)
        body = json.dumps(found).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    chosen = parser.parse_args()
    here = Path(__file__).parent
    served = json.loads((here / "documents.json").read_text())
    Documents((chosen.host, chosen.port), served, here / "tls.pem").serve_forever()
