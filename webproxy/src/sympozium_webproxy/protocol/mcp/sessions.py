"""Signed session ids that carry the session, so that every replica serves it and none stores it.

An id is signed with a key that all replicas share and no caller knows, and is valid only for the API key that it names.

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


def signing_key(instance_uid: str, key_digest: bytes | None) -> bytes:
    """Return the key that signs the sessions of one API key; replacing the API key ends its sessions.

    The instance's uid is random, known to no caller, and the same in all replicas.

    """
    return hmac.digest(instance_uid.encode(), b"mcp session" + (key_digest or b""), hashlib.sha256)


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


def sign_message(session: Session, key: bytes, body: bytes) -> str:
    """Return the signature that proves to another replica that this one authenticated the message's caller."""
    return _encoded(_mac(key, f"{session.id} {hashlib.sha256(body).hexdigest()}"))


def is_signed(signature: str, session: Session, key: bytes, body: bytes) -> bool:
    """Return True if ``sign_message`` made this signature."""
    return hmac.compare_digest(signature.encode(), sign_message(session, key, body).encode())


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
