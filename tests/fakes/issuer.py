"""An authorization server: its metadata, its keys, and the tokens that it would issue."""

import json
import time
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.fakes.certificate import self_signed

Object = dict[str, Any]
SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

AUDIENCE = "https://agents.example.com"


class Issuer:
    """``documents`` is what it serves; a test may change it."""

    def __init__(self, url: str, *names: x509.GeneralName) -> None:
        self.url = url
        key, self.authority = self_signed(*names)
        self.certificate = key + self.authority
        self.documents: dict[str, Any] = {
            "/.well-known/openid-configuration": {"issuer": url, "jwks_uri": f"{url}/keys"},
            "/keys": {"keys": []},
        }
        self._key: SigningKey = ec.generate_private_key(ec.SECP256R1())
        self._key_id = "k1"
        self.rotate("k1")

    def rotate(self, key_id: str, key: SigningKey | None = None, **about: str) -> None:
        """Sign with a new key from now on, and publish it beside the others."""
        self._key, self._key_id = key or ec.generate_private_key(ec.SECP256R1()), key_id
        self.publish(self.jwk() | {"kid": key_id, "use": "sig"} | about)

    def publish(self, jwk: Object) -> None:
        self.documents["/keys"]["keys"].append(jwk)

    def jwk(self) -> Object:
        """The public half of the key that signs."""
        public = self._key.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            found: Object = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(public))
        else:
            found = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(public))
        return found

    def token(self, *, key: Any = None, algorithm: str = "ES256", headers: Object | None = None, **changes: Any) -> str:
        """A token that is good for five minutes, but for the claims that are changed; None leaves one out."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "alice",
            "iat": now,
            "exp": now + 300,
            "scope": "agents:ask openid",
        } | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, key or self._key, algorithm, headers={"kid": self._key_id} | (headers or {}))

    def spec(self, **changes: Any) -> Object:
        """``webEndpoint.oauth`` of an instance that accepts its tokens."""
        found = {"issuer": self.url, "audiences": [AUDIENCE], "certificateAuthority": self.authority.decode()}
        return found | changes
