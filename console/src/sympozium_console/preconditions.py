"""Optimistic concurrency over HTTP (RFC 9110, 13.1): an object's entity tag is its resource version."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sympozium_console import refusals

_TAGS = re.compile(r'\*|(?:W/)?"[^"]*"(?:\s*,\s*(?:W/)?"[^"]*")*')


@dataclass(frozen=True)
class Precondition:
    """A caller's conditions on the stored object before a change."""

    versions: frozenset[str] | None = None
    """Versions of If-Match, one of which the object must have; empty: any version; None: no If-Match."""
    absent: bool = False
    """True for If-None-Match: the object must not exist."""

    @property
    def is_set(self) -> bool:
        """Return True if the answer depends on the stored object."""
        return self.versions is not None or self.absent

    def check(self, version: str | None) -> None:
        """Raise Refusal 412 unless the stored version meets the precondition; None stands for no object."""
        if self.absent and version is not None:
            raise refusals.precondition_failed("If-None-Match: the object already exists")
        if self.versions is not None and version is None:
            raise refusals.precondition_failed("If-Match: the object does not exist")
        if self.versions and version not in self.versions:
            message = f"If-Match: the object has changed; its entity tag is now {entity_tag(str(version))}"
            raise refusals.precondition_failed(message)


def entity_tag(version: str) -> str:
    """Return a resource version as an entity tag."""
    return f'"{version}"'


def of_headers(headers: Mapping[str, str]) -> Precondition:
    """Return the precondition of a request; raise Refusal 400 for a malformed header."""
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None and not _TAGS.fullmatch(match.strip()):
        raise refusals.bad_field("If-Match", 'must be * or an entity tag such as "12345", in double quotes')
    if none_match is not None and none_match.strip() != "*":
        raise refusals.bad_field("If-None-Match", "must be *")
    versions = None if match is None else frozenset(re.findall(r'"([^"]*)"', match))
    return Precondition(versions, absent=none_match is not None)
