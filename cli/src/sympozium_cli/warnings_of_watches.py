"""Warnings of the API's client as sentences on standard error, where its watches try again by themselves."""

import sys
from typing import Any

import structlog


class _Speaker:
    """Logger of warnings. It looks up standard error for each of them, because the terminal UI replaces it."""

    def warning(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)

    def __getattr__(self, _level: str) -> Any:
        return lambda *_words, **_values: None


def _sentence(_logger: Any, _level: str, event: Any) -> str:
    return f"{event.get('event')}: {event.get('kind', '')} {event.get('reason', '')}".strip()


def configure() -> None:
    """Let this process say the client's warnings."""
    structlog.configure(processors=[_sentence], logger_factory=lambda *_: _Speaker())
