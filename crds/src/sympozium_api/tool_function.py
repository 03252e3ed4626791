"""Names of tools' functions: made from titles, unique in a namespace. Pure."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from sympozium_api.tool import FUNCTION_PATTERN, Tool

BUILTIN_TOOLS = ("fetch_url",)
"""Functions that the egress guard carries out itself. No other Tool may have these names."""

_LONGEST = 64
_HASH_DIGITS = 8
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]+")
_MANY_UNDERSCORES = re.compile(r"_{2,}")


def of_title(title: str) -> str | None:
    """Return the function name that a title yields without loss; None if a hash is needed beside what remains of it."""
    name = _legal_part(title)
    kept = all(character.isascii() or not character.isalnum() for character in _decomposed(title))
    return name if kept and len(name) <= _LONGEST and re.fullmatch(FUNCTION_PATTERN, name) else None


def with_hash(title: str, distinct: str) -> str:
    """Return the function name of a title that yields none of its own; ``distinct`` tells Tools with the same title apart."""
    digest = hashlib.sha256(f"{title}\0{distinct}".encode()).hexdigest()[:_HASH_DIGITS]
    base = _legal_part(title)[: _LONGEST - _HASH_DIGITS - 1].rstrip("_-")
    if not re.match("[A-Za-z_]", base):
        base = f"tool_{base}"[: _LONGEST - _HASH_DIGITS - 1].rstrip("_-")
    return f"{base}_{digest}"


def assign(tools: Iterable[Tool]) -> dict[str, str | None]:
    """Return the function of each Tool of a namespace, by the Tool's name; None: another Tool has the name that its spec sets.

    The oldest Tool comes first, so that a new Tool changes nothing of those before it. A Tool keeps the name that its status shows.
    """
    assigned: dict[str, str | None] = {}
    taken: set[str] = set()
    for tool in sorted(tools, key=lambda tool: (tool.metadata.creation_timestamp, tool.metadata.name)):
        function = next((name for name in _candidates(tool) if name not in taken), None)
        assigned[tool.metadata.name] = function
        taken |= {function} if function else set()
    return assigned


def _candidates(tool: Tool) -> list[str]:
    builtin = tool.spec.builtin.name if tool.spec.builtin else None
    reserved = set(BUILTIN_TOOLS) - {builtin}
    if tool.spec.function is not None:
        return [name for name in (tool.spec.function,) if name not in reserved]
    made = [of_title(tool.spec.title), with_hash(tool.spec.title, tool.metadata.name)]
    names = [name for name in made if name is not None and name not in reserved]
    current = tool.status.function
    return [current, *names] if current in names else names


def _decomposed(title: str) -> str:
    text = unicodedata.normalize("NFKD", title)
    return "".join(character for character in text if not unicodedata.combining(character))


def _legal_part(title: str) -> str:
    return _MANY_UNDERSCORES.sub("_", _ILLEGAL.sub("_", _decomposed(title))).strip("_-")
