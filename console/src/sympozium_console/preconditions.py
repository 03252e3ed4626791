"""Optimistic concurrency over HTTP (RFC 9110, 13.1): an object's entity tag is its resource version."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sympozium_console import errors

_TAGS = re.compile(r'\*|(?:W/)?"[^"]*"(?:\s*,\s*(?:W/)?"[^"]*")*')


@dataclass(frozen=True)
class Precondition:
    """What a caller asks of the object that is there before it is changed."""

    versions: frozenset[str] | None = None
    """If-Match: it has one of these versions; empty: any, but it is there. None: not asked."""
    absent: bool = False
    """If-None-Match: nothing is there."""

    @property
    def asked(self) -> bool:
        """Whether the answer depends on what is there."""
        return self.versions is not None or self.absent

    def check(self, version: str | None) -> None:
        """Raises Refusal 412 unless it holds for what is there; None: nothing is."""
        if self.absent and version is not None:
            raise errors.precondition_failed("If-None-Match: it exists already")
        if self.versions is not None and version is None:
            raise errors.precondition_failed("If-Match: it does not exist")
        if self.versions and version not in self.versions:
            raise errors.precondition_failed(f"If-Match: it has changed; its entity tag is now {tag(str(version))}")


def tag(version: str) -> str:
    """A resource version as an entity tag."""
    return f'"{version}"'


def asked(headers: Mapping[str, str]) -> Precondition:
    """The precondition of a request; raises Refusal 400 for a header that cannot be read."""
    wanted, unwanted = headers.get("if-match"), headers.get("if-none-match")
    if wanted is not None and not _TAGS.fullmatch(wanted.strip()):
        raise errors.bad_field("If-Match", 'must be * or an entity tag such as "12345", in double quotes')
    if unwanted is not None and unwanted.strip() != "*":
        raise errors.bad_field("If-None-Match", "must be *")
    versions = None if wanted is None else frozenset(re.findall(r'"([^"]*)"', wanted))
    return Precondition(versions, absent=unwanted is not None)
