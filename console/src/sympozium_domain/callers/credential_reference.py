"""Reference of a browser's session to the credential that it began with: enough to find it again, too little to be it."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal

from sympozium_domain.callers.caller import Subject

_FINGERPRINT_BYTES = 16


@dataclass(frozen=True)
class CredentialReference:
    """A reference to a credential that was valid at sign-in."""

    kind: Literal["token", "static", "key", "user"]
    """``token``: of the installation. ``static``: a key of AUTH_API_KEYS. ``key``: an APIKey. ``user``: a token of a user of Kubernetes."""
    id: str
    """Id of the credential: the name of a token's entry, of a key the id, of a user's token the pseudonym for logs."""
    fingerprint: str = ""
    """Part of a digest of a token or static key, so that another one under the same id is not taken for it."""
    namespace: str | None = None
    """Namespace of an APIKey."""
    subject: Subject | None = None
    """The user of Kubernetes."""
    expires_at: float | None = None
    """Seconds since 1970 at which the credential ends by itself; None: never, or the key says so."""
    issuer: str | None = None
    """Issuer of a user's token."""


def fingerprint(credential: str) -> str:
    """Return a part of the SHA-256 of a credential, hexadecimal."""
    return shortened(hashlib.sha256(credential.encode(errors="surrogatepass")).digest())


def shortened(digest: bytes) -> str:
    """Return the part of a SHA-256 that is a fingerprint, hexadecimal."""
    return digest[:_FINGERPRINT_BYTES].hex()


def is_of(reference: CredentialReference, digest: str) -> bool:
    """Return True if a reference has this fingerprint, in constant time."""
    return bool(reference.fingerprint) and hmac.compare_digest(reference.fingerprint, digest)
