"""Column types that accept whatever a tenant wrote: texts that both databases store, numbers that cannot overflow."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Column, Dialect, Text, TypeDecorator

MAX_TEXT = 256
"""Longest text, in characters. Two of them fit into the entry of an index, which PostgreSQL bounds at 2,704 bytes."""
MAX_COUNT = 10**10
"""Largest count: the sum of 900 million of them is still a BIGINT."""
MAX_COST = 10**13
"""Highest cost of a run, in billionths of a US dollar: 10,000 dollars. The sum of 900,000 of them is still a BIGINT."""
MAX_BIGINT = 2**63 - 1

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters that PostgreSQL, or UTF-8, refuses."""


def storable_text(text: str, longest: int = MAX_TEXT) -> str:
    """Return a text that both databases store: cut, and U+FFFD in place of NUL and lone surrogates."""
    if len(text) <= longest and text.isascii() and "\x00" not in text:  # most are, and rows have fifteen texts
        return text
    return _UNSTORABLE.sub("\ufffd", text[:longest])


T = TypeVar("T")


class Storable(TypeDecorator[T]):
    """Column type that changes a value which cannot be stored. Values of filters pass the same rule, so what is stored is found."""

    cache_ok = True

    def storable(self, value: T) -> Any:
        """Return the value to store."""
        raise NotImplementedError

    def process_bind_param(self, value: T | None, _dialect: Dialect) -> Any:
        """Return the value to store, or None."""
        return None if value is None else self.storable(value)


class StorableText(Storable[str]):
    """Text of at most ``longest`` characters."""

    impl = Text
    cache_ok = True

    def __init__(self, longest: int = MAX_TEXT) -> None:
        super().__init__()
        self.longest = longest

    def storable(self, value: str) -> str:
        """Return the text to store."""
        return storable_text(value, self.longest)


class _Bounded(Storable[int]):
    """Whole number that is brought into its bounds instead of being refused."""

    impl = BigInteger
    cache_ok = True
    most = MAX_BIGINT

    def storable(self, value: int) -> int:
        """Return the number to store."""
        return min(max(int(value), 0), self.most)


class Count(_Bounded):
    """Number of tokens, calls or milliseconds."""

    cache_ok = True
    most = MAX_COUNT


class NanoDollars(_Bounded):
    """Amount in billionths of a US dollar."""

    cache_ok = True
    most = MAX_COST


class Microseconds(_Bounded):
    """Time, in microseconds since 1970 UTC."""

    cache_ok = True


class ResourceVersion(Storable[str]):
    """Resource version of an object, stored as the number that the API server writes, so that a newer one is greater."""

    impl = BigInteger
    cache_ok = True

    def storable(self, value: str) -> int:
        """Return the number. A text that is none counts as the oldest version."""
        return min(int(value), MAX_BIGINT) if value.isascii() and value.isdigit() and len(value) < 20 else 0

    def process_result_value(self, value: Any | None, _dialect: Dialect) -> str | None:
        """Return the version as Kubernetes writes it."""
        return None if value is None else str(value)


def stored_column(column: Column[Any]) -> Column[Any]:
    """Return a column with the type that the database has, which takes values as ``storable`` returns them."""
    kind = column.type.impl_instance if isinstance(column.type, Storable) else column.type
    return Column(column.name, kind, primary_key=column.primary_key)


def storable(column: Column[Any]) -> Callable[[Any], Any]:
    """Return the function that makes a value, which is not None, storable in a column."""
    return column.type.storable if isinstance(column.type, Storable) else lambda value: value
