"""Signed session ids that carry the session, so that every replica serves it and none stores it.

An id is signed with a key that the instance's replicas share and nobody else knows, and is valid only for the API key
that it names. With the same key, replicas prove to one another who they are (docs/decisions/0045).
"""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass

LIFETIME_SECONDS = 24 * 3600
"""Age in seconds at which a client has to begin a new session."""


@dataclass(frozen=True)
class Session:
    """Session of one client."""

    id: str
    """Random; part of the names of its runs."""
    key_id: str
    version: str
    """Negotiated protocol version; empty if the stream itself keeps it."""
    began: int
    """Seconds since 1970."""
    replica: str = ""
    """Host and port of the replica that holds the session's stream, in the oldest transport."""


def begin(key_id: str, version: str, *, now: float, replica: str = "") -> Session:
    """Return a new session of an API key."""
    return Session(secrets.token_hex(16), key_id, version, int(now), replica)


def signing_key(session_key: bytes, key_digest: bytes | None) -> bytes:
    """Return the key that signs the sessions of one API key; replacing the API key ends its sessions.

    ``session_key`` is the instance's secret; without a digest, the sessions are those of callers with access tokens.
    """
    return hmac.digest(session_key, b"mcp session" + (key_digest or b""), hashlib.sha256)


def seal(session: Session, key: bytes) -> str:
    """Return the id by which clients know a session."""
    content = _encoded(json.dumps(asdict(session), separators=(",", ":")).encode())
    return f"{content}.{_encoded(_mac(key, content))}"


def unseal(token: str, key: bytes, *, key_id: str, now: float) -> Session | None:
    """Return the session of an id; None if it has another signature or API key, or is too old."""
    content, _, mac = token.partition(".")
    if not hmac.compare_digest(mac.encode(), _encoded(_mac(key, content)).encode()):
        return None
    session = Session(**json.loads(base64.urlsafe_b64decode(content + "==")))
    if session.key_id != key_id or not 0 <= now - session.began + _CLOCKS_DIFFER <= LIFETIME_SECONDS:
        return None
    return session


def sign_message(token: str, key: bytes, body: bytes, *, now: float) -> str:
    """Return the header with which a replica forwards a message whose caller it has authenticated: time, digest and signature."""
    claim = f"{int(now)}.{hashlib.sha256(body).hexdigest()}"
    return f"{claim}.{_encoded(_mac(key, f'{token} {claim}'))}"


def signed_digest(signature: str, token: str, key: bytes, *, now: float) -> str | None:
    """Return the SHA-256 of the body for which ``sign_message`` made a header; None if it did not, or not just now.

    The body is not needed, so that nobody's body is read before the header is known to be a replica's.
    """
    claim, _, mac = signature.rpartition(".")
    if not hmac.compare_digest(mac.encode(), _encoded(_mac(key, f"{token} {claim}")).encode()):
        return None
    signed_at, _, digest = claim.partition(".")
    return digest if abs(now - int(signed_at)) <= _CLOCKS_DIFFER else None


def is_body_of(digest: str, body: bytes) -> bool:
    """Return True if a digest of ``signed_digest`` is that of a body."""
    return hmac.compare_digest(digest, hashlib.sha256(body).hexdigest())


def replica_proof(session_key: bytes, nonce: str, address: str) -> str:
    """Return the proof that the replica at this address has the instance's session key; ``nonce`` is the asking replica's."""
    return _encoded(_mac(session_key, f"mcp replica {nonce} {address}"))


def claimed_key(token: str) -> str:
    """Return the API key that an id claims, without any check; empty if it is not an id."""
    try:
        return str(json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))["key_id"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""


_CLOCKS_DIFFER = 60
"""Seconds by which another replica's clock may be ahead."""


def _mac(key: bytes, content: str) -> bytes:
    return hmac.digest(key, content.encode(), hashlib.sha256)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
