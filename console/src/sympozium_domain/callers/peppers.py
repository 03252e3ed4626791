"""Peppers: the secrets without which no digest of an API key can be made. Files, read again while the process runs."""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

from sympozium_api import environment
from sympozium_domain.callers.secret_files import SecretFiles


class Peppers:
    """Peppers of a folder: its files whose names begin with ``API_KEY_PEPPER``, and the variable of that name, which comes first.

    The first pepper makes the digests of new keys, and all of them verify.
    """

    def __init__(self, folder: Path, *, variable: str = "", clock: Callable[[], float]) -> None:
        self._files = SecretFiles(folder, environment.API_KEY_PEPPER, variable=variable, clock=clock)

    def digests(self, key: str) -> list[str]:
        """Return the digests that a key may have, hexadecimal, that of a new key first; empty if there is no pepper."""
        secret = key.encode()
        return [hmac.new(pepper, secret, hashlib.sha256).hexdigest() for pepper in self._files.current()]

    @property
    def are_there(self) -> bool:
        """Return True if there is a pepper, so that API keys can be verified."""
        return bool(self._files.current())
