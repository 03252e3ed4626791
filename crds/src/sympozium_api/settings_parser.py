"""Parser of settings: each environment variable is read once, and an invalid one is refused with its name."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from sympozium_api.base import seconds
from sympozium_api.names import DNS_LABEL

T = TypeVar("T")

_BYTE_UNITS = {"": 1, "Ki": 1024, "Mi": 1024**2}


class InvalidSetting(SystemExit):
    """Variable that is missing or invalid; the message names it. The process refuses to start."""


class SettingsParser:
    """Reads variables by name. An empty variable counts as not set."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def required(self, name: str) -> str:
        """Return a variable's text. Raises InvalidSetting if it is not set."""
        text = self._variables.get(name)
        if not text:
            raise InvalidSetting(f"{name} is not set")
        return text

    def read(self, name: str, default: str, parse: Callable[[str], T]) -> T:
        """Return what ``parse`` makes of a variable or of its default. Raises InvalidSetting if ``parse`` raises ValueError."""
        text = self._variables.get(name) or default
        try:
            return parse(text)
        except ValueError as error:
            raise InvalidSetting(f"{name}: {text!r} {error}") from error


def one_of(*words: str) -> Callable[[str], str]:
    """Return a parser of one of these words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"is not one of {', '.join(words)}")
        return text

    return parse


def boolean(text: str) -> bool:
    """Return whether a text is ``true``; only ``false`` is the other valid text."""
    return one_of("true", "false")(text) == "true"


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of a whole number within bounds."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"is not a whole number from {least} to {most}")
        return int(text)

    return parse


def number(least: float, most: float) -> Callable[[str], float]:
    """Return a parser of a number within bounds."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise ValueError(f"is not a number from {least:g} to {most:g}")
        return value

    return parse


def duration(text: str) -> int:
    """Return the seconds of a duration longer than zero, such as ``90s``, ``1h30m`` or ``30d``."""
    value = seconds(text) if re.fullmatch(r"[0-9dhms]+", text) else 0
    if not value:
        raise ValueError("is not a duration such as 90s or 1h30m")
    return value


def duration_between(least: str, most: str) -> Callable[[str], int]:
    """Return a parser of a duration within bounds, which are durations themselves."""

    def parse(text: str) -> int:
        value = duration(text)
        if not seconds(least) <= value <= seconds(most):
            raise ValueError(f"is not a duration from {least} to {most}")
        return value

    return parse


def namespaces(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list of namespaces."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not all(re.fullmatch(DNS_LABEL, name) for name in found):
        raise ValueError("is not a comma-separated list of namespaces")
    return found


def byte_count(least: str, most: str) -> Callable[[str], int]:
    """Return a parser of a number of bytes within bounds, such as ``2048``, ``64Ki`` or ``1Mi``."""

    def parse(text: str) -> int:
        value = _bytes(text)
        if value is None or not (_bytes(least) or 0) <= value <= (_bytes(most) or 0):
            raise ValueError(f"is not a number of bytes from {least} to {most}")
        return value

    return parse


def _bytes(text: str) -> int | None:
    parts = re.fullmatch(r"([0-9]{1,9})(Ki|Mi)?", text)
    return int(parts[1]) * _BYTE_UNITS[parts[2] or ""] if parts else None


def http_url(text: str) -> str:
    """Return an http or https URL without a slash at its end. A ``$`` is refused, because Kubernetes expands ``$(NAME)``."""
    if not re.fullmatch(r"https?://[^\s,$]+", text):
        raise ValueError("is not an http URL")
    return text.rstrip("/")


def optional(parse: Callable[[str], str]) -> Callable[[str], str]:
    """Return a parser that accepts an empty text as well."""
    return lambda text: parse(text) if text else ""


def json_like(example: str, kind: type[T]) -> Callable[[str], T]:
    """Return a parser of JSON of a kind (``dict`` or ``list``); ``example`` is shown in the refusal."""

    def parse(text: str) -> T:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ValueError(f"is not JSON such as {example}") from error
        if not isinstance(value, kind):
            raise ValueError(f"is not JSON such as {example}")  # noqa: TRY004 - refused like any other text
        return value

    return parse
