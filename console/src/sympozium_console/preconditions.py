"""Optimistic concurrency over HTTP (RFC 9110, 13.1).

An object's entity tag is the generation of its spec, so that the operator's status reports change no tag, with a part of its
UID, so that an object of the same name that is created again has another one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sympozium_api.resources import Object
from sympozium_console import refusals

_TAGS = re.compile(r'\*|(?:W/)?"[^"]*"(?:\s*,\s*(?:W/)?"[^"]*")*')


@dataclass(frozen=True)
class Precondition:
    """A caller's conditions on the stored object before a change."""

    tags: frozenset[str] | None = None
    """Entity tags of If-Match, one of which the object must have; empty: any; None: no If-Match."""
    absent: bool = False
    """True for If-None-Match: the object must not exist."""

    @property
    def is_set(self) -> bool:
        """Return True if the answer depends on the stored object."""
        return self.tags is not None or self.absent

    def check(self, stored: Object | None) -> None:
        """Raise Refusal 412 unless the stored object meets the precondition; None stands for no object."""
        if self.absent and stored is not None:
            raise refusals.precondition_failed("If-None-Match: the object already exists")
        if self.tags is not None and stored is None:
            raise refusals.precondition_failed("If-Match: the object does not exist")
        if self.tags and stored is not None and entity_tag(stored) not in self.tags:
            message = f"If-Match: the object has changed; its entity tag is now {entity_tag(stored)}"
            raise refusals.precondition_failed(message)


def entity_tag(stored: Object) -> str:
    """Return the entity tag of an object, in its double quotes."""
    metadata = stored["metadata"]
    return f'"{metadata["generation"]}-{metadata["uid"][:8]}"'


def of_headers(headers: Mapping[str, str]) -> Precondition:
    """Return the precondition of a request; raise Refusal 400 for a malformed header."""
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None and not _TAGS.fullmatch(match.strip()):
        raise refusals.bad_field("If-Match", 'must be * or an entity tag such as "3-1a2b3c4d", in double quotes')
    if none_match is not None and none_match.strip() != "*":
        raise refusals.bad_field("If-None-Match", "must be *")
    tags = None if match is None else frozenset(re.findall(r'"[^"]*"', match))
    return Precondition(tags, absent=none_match is not None)
