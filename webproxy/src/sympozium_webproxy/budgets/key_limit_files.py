"""Limits of API keys, from the mounted Secret that holds the keys; reread while the process runs, as the keys are."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from sympozium_api import key_limits, names
from sympozium_api.key_limits import NO_LIMITS, InvalidLimits, KeyLimits
from sympozium_http.bearer_keys import content

log = structlog.get_logger()

_REREAD_SECONDS = 2.0


class KeyLimitFiles:
    """The files of a folder whose names begin with ``limits.``. A key whose file cannot be read makes no runs."""

    def __init__(self, folder: Path, *, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._read_at = float("-inf")
        self._texts: dict[str, bytes] = {}
        self._limits: dict[str, KeyLimits] = {}
        self._unreadable: frozenset[str] = frozenset()

    def of(self, key_id: str) -> KeyLimits:
        """Return the limits of a key's own."""
        return self._current().get(key_id, NO_LIMITS)

    def is_unreadable(self, key_id: str) -> bool:
        """Return true if a key has limits that nobody can read, or that are beyond those that count: its budget is unknown."""
        self._current()
        return key_id in self._unreadable

    def display_name(self, key_id: str) -> str | None:
        """Return a key's name for people; None for a caller with an access token."""
        is_caller = names.key_label(key_id) == names.OAUTH_CALLERS
        return None if is_caller else key_limits.display_name(key_id, self.of(key_id))

    def budgets(self) -> dict[str, int]:
        """Return the tokens per day of each key that has a budget."""
        return {key: own.tokens_per_day for key, own in self._current().items() if own.tokens_per_day is not None}

    def _current(self) -> dict[str, KeyLimits]:
        now = self._clock()
        if now - self._read_at >= _REREAD_SECONDS:
            self._read_at = now
            files = sorted(self._folder.glob(f"{key_limits.PREFIX}*"))
            texts = {
                file.name.removeprefix(key_limits.PREFIX): content(file) if number < key_limits.MAX_ENTRIES else b""
                for number, file in enumerate(files)
            }
            if texts != self._texts:
                counted = dict(itertools.islice(texts.items(), key_limits.MAX_ENTRIES))
                self._texts, self._limits = texts, dict(_parsed(counted))
                self._unreadable = frozenset(texts.keys() - self._limits.keys())
                log.info("limits of keys changed", keys=sorted(self._limits))
        return self._limits


def _parsed(texts: dict[str, bytes]) -> Iterator[tuple[str, KeyLimits]]:
    for key_id, text in texts.items():
        try:
            yield key_id, key_limits.parse(text.decode())
        except UnicodeDecodeError:
            log.warning("limits of a key are invalid", key_id=key_id, reason="the text is not UTF-8")
        except InvalidLimits as error:
            log.warning("limits of a key are invalid", key_id=key_id, reason=str(error))
