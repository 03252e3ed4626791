"""A session, the names of its turns' runs, and what is known of those from their metadata. Pure."""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from sympozium_api import names
from sympozium_api.base import Metadata
from sympozium_api.instance import SympoziumInstance

_NAME_BYTES = 8
"""Bytes of the digest in a name: with an instance's 40 characters they leave seven digits for the turn's number."""
_LABEL_DIGITS = 32


@dataclass(frozen=True)
class Session:
    """A conversation of a scope with an instance's agent. An instance that is created again has other sessions."""

    instance: str
    """Name of the instance."""
    instance_id: str
    """Id of the agent that a restore of the instance keeps, else the instance's UID."""
    scope: str
    """Text that tells the sessions of one dialect, or of one caller, from those of others with the same key."""
    key: str
    """The caller's own key for the session."""

    @classmethod
    def of(cls, instance: SympoziumInstance, scope: str, key: str) -> Self:
        """Return a session with an instance."""
        metadata = instance.metadata
        return cls(metadata.name, metadata.labels.get(names.LABEL_ID) or metadata.uid, scope, key)

    @cached_property
    def label(self) -> str:
        """Value of the label by which the runs of the session are found."""
        return self._digest.hex()[:_LABEL_DIGITS]

    @cached_property
    def selector(self) -> str:
        """Label selector of the session's runs."""
        return f"{names.LABEL_SESSION}={self.label}"

    def run_of(self, turn: int) -> str:
        """Return the name of a turn's run; the first turn is 1."""
        return f"{self._prefix}{turn}"

    def turn_of(self, run: Metadata) -> int | None:
        """Return the turn of a run; None: the run is no turn of this session, whatever its name."""
        return turn_of(self.instance, self.label, run)

    def number_of(self, run: str) -> int | None:
        """Return the turn whose run has this name; None: no turn has it."""
        return _number(self._prefix, run)

    def turns(self, runs: Iterable[Metadata]) -> dict[int, Metadata]:
        """Return those of the runs that are turns of this session, by their number, the oldest first."""
        return turns_of(self.instance, self.label, runs)

    def idempotency_label(self, key_id: str, idempotency_key: str) -> str:
        """Return the value of the label by which the turns of an Idempotency-Key are found."""
        text = json.dumps([self.label, key_id, idempotency_key])
        return hashlib.sha256(text.encode()).hexdigest()[:_LABEL_DIGITS]

    @cached_property
    def _digest(self) -> bytes:
        return hashlib.sha256(json.dumps([self.instance_id, self.scope, self.key]).encode()).digest()

    @cached_property
    def _prefix(self) -> str:
        return _prefix_of(self.instance, self.label)


def turns_of(instance: str, label: str, runs: Iterable[Metadata]) -> dict[int, Metadata]:
    """Return those of the runs that are turns of the session with this label, by their number, the oldest first."""
    numbered = {turn: run for run in runs if (turn := turn_of(instance, label, run)) is not None}
    return dict(sorted(numbered.items()))


def turn_of(instance: str, label: str, run: Metadata) -> int | None:
    """Return the turn of a run; None: the run is no turn of the session with this label, whatever its name."""
    return _number(_prefix_of(instance, label), run.name) if run.labels.get(names.LABEL_SESSION) == label else None


def _number(prefix: str, name: str) -> int | None:
    digits = name.removeprefix(prefix)
    is_own = name.startswith(prefix) and digits.isascii() and digits.isdigit() and digits[0] != "0"
    return int(digits) if is_own else None


def _prefix_of(instance: str, label: str) -> str:
    digest = base64.b32encode(bytes.fromhex(label)[:_NAME_BYTES]).decode().rstrip("=").lower()
    return f"{instance}-s{digest}-"
