"""Headers that callers send for the model, held in this process from a run's creation to its end. They are stored nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager


class CallerHeaders:
    """The headers of the callers of open runs, by a run's namespace and name."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], dict[str, str]] = {}

    @contextmanager
    def holding(self, key: tuple[str, str], headers: dict[str, str]) -> Iterator[None]:
        """Hold a caller's headers until they are dropped.

        The body of this context creates the run; if it fails, the headers are dropped.
        """
        is_first = bool(headers) and key not in self._held  # the headers held are those of the run's first caller
        if is_first:
            self._held[key] = headers
        try:
            yield
        except BaseException:
            if is_first:
                self.drop(key)
            raise

    def of(self, key: tuple[str, str]) -> dict[str, str] | None:
        """Return the headers of a run's caller, or None where this process does not hold them."""
        return self._held.get(key)

    def drop(self, key: tuple[str, str]) -> None:
        """Forget the headers of a run's caller."""
        self._held.pop(key, None)
