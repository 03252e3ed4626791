"""An authorization server at which a person signs in: an Issuer with the two endpoints of the code flow, on a real socket."""

import base64
import hashlib
import ipaddress
import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography import x509
from tests.fakes.documents import Documents
from tests.fakes.issuer import Issuer

CLIENT, SECRET = "console", "s3cret/&"  # the second needs the encoding of RFC 6749


class SignInIssuer(Documents):
    """``claims`` are those of the next ID token; ``seen`` the queries of the first endpoint; a code counts once, with its verifier."""

    def __init__(self, folder: Path) -> None:
        self.issuer = Issuer("https://127.0.0.1", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        certificate = folder / "issuer.pem"
        certificate.write_bytes(self.issuer.certificate)
        super().__init__(("127.0.0.1", 0), self.issuer.documents, certificate)
        self.RequestHandlerClass = _Handler
        self.issuer.url = url = f"https://127.0.0.1:{self.server_port}"
        self.issuer.documents["/.well-known/openid-configuration"] = {
            "issuer": url,
            "jwks_uri": f"{url}/keys",
            "authorization_endpoint": f"{url}/authorize",
            "token_endpoint": f"{url}/token",
        }
        self.claims: dict[str, Any] = {}
        self.seen: list[dict[str, str]] = []
        self.codes: dict[str, dict[str, str]] = {}

    def authorize(self, query: dict[str, str]) -> str:
        """Return the address to which a person who agrees is sent back."""
        self.seen.append(query)
        code = f"code-{len(self.seen)}"
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], 'iss': self.issuer.url})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the answer of the second endpoint."""
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        known = base64.b64encode(b"console:s3cret%2F%26").decode()
        if authorization != f"Basic {known}":
            return 401, {"error": "invalid_client"}
        if (
            asked is None
            or challenge.decode() != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        claims = {"aud": CLIENT, "nonce": asked["nonce"]} | self.claims
        return 200, {"token_type": "Bearer", "access_token": "opaque", "id_token": self.issuer.token(**claims)}


class _Handler(BaseHTTPRequestHandler):
    server: SignInIssuer

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/authorize":
            self.send_response(303)
            self.send_header("Location", self.server.authorize(dict(parse_qsl(address.query))))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        found = self.server.documents.get(self.path)
        self._send(404 if found is None else 200, found)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._send(*self.server.token(dict(parse_qsl(body)), self.headers.get("Authorization", "")))

    def _send(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass
