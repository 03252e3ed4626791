"""Column types that accept whatever a tenant wrote: texts that both databases store, numbers that cannot overflow."""

import re
from typing import Any

from sqlalchemy import BigInteger, Dialect, Text, TypeDecorator

MAX_TEXT = 256
"""Longest text, in characters. Two of them fit into the entry of an index, which PostgreSQL bounds at 2,704 bytes."""
MAX_COUNT = 10**10
"""Largest count: the sum of 900 million of them is still a BIGINT."""
MAX_BIGINT = 2**63 - 1

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters that PostgreSQL, or UTF-8, refuses."""


def storable_text(text: str, longest: int = MAX_TEXT) -> str:
    """Return a text that both databases store: cut, and U+FFFD in place of NUL and lone surrogates."""
    return _UNSTORABLE.sub("\ufffd", text[:longest])


class StorableText(TypeDecorator[str]):
    """Text of at most ``longest`` characters. Values of filters pass the same rule, so a stored text is found by what was written."""

    impl = Text
    cache_ok = True

    def __init__(self, longest: int = MAX_TEXT) -> None:
        super().__init__()
        self.longest = longest

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        """Return the text to store."""
        return None if value is None else storable_text(value, self.longest)


class _Bounded(TypeDecorator[int]):
    """Whole number that is brought into its bounds instead of being refused."""

    impl = BigInteger
    cache_ok = True
    least, most = 0, MAX_BIGINT

    def process_bind_param(self, value: int | None, _dialect: Dialect) -> int | None:
        """Return the number to store."""
        return None if value is None else min(max(int(value), self.least), self.most)


class Count(_Bounded):
    """Number of tokens, calls or milliseconds."""

    cache_ok = True
    most = MAX_COUNT


class Microseconds(_Bounded):
    """Time, in microseconds since 1970 UTC."""

    cache_ok = True


class ResourceVersion(TypeDecorator[str]):
    """Resource version of an object, stored as the number that the API server writes, so that a newer one is greater."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> int | None:
        """Return the number. A text that is none counts as the oldest version."""
        if value is None:
            return None
        return min(int(value), MAX_BIGINT) if value.isascii() and value.isdigit() and len(value) < 20 else 0

    def process_result_value(self, value: Any | None, _dialect: Dialect) -> str | None:
        """Return the version as Kubernetes writes it."""
        return None if value is None else str(value)
