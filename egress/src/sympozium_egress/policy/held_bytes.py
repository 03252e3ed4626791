"""Bytes of calls and answers that the guard holds at once: bounded, and no namespace takes all of them. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Hold = Callable[[int], None]
"""Function that counts bytes which are held from now on. Raises TooMuchHeld."""


class TooMuchHeld(Exception):
    """The guard, or what it does for a namespace, holds as many bytes as it may."""


@dataclass
class HeldBytes:
    """Counter of held bytes."""

    limit: int = 64 * 1024 * 1024
    """Most bytes; the container has 256 MiB, of which an answer takes several times its bytes while it is told."""
    share: float = 0.5
    """Part of ``limit`` that one namespace may hold."""
    _held: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def part(self, namespace: str) -> Iterator[Hold]:
        """Yield the function that counts a part of what is held for a namespace; at the end the part is held no longer."""
        size = 0

        def hold(more: int) -> None:
            nonlocal size
            if self._held.total() + more > self.limit or self._held[namespace] + more > self.limit * self.share:
                raise TooMuchHeld
            size += more
            self._held[namespace] += more

        try:
            yield hold
        finally:
            self._held[namespace] -= size
            if not self._held[namespace]:
                del self._held[namespace]


@contextmanager
def uncounted() -> Iterator[Hold]:
    """Yield a function that counts nothing."""
    yield lambda _: None
