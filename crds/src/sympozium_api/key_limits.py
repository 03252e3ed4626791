"""Limits of one API key: an entry ``limits.<entry of the key>`` beside the key in its Secret. Pure."""

import re
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from sympozium_api.base import ApiModel
from sympozium_api.web_endpoint import MAX_RATE, RateLimit

PREFIX = "limits."
"""Beginning of the entries' names. Every entry that begins with ``api-key`` is a valid key instead."""
MAX_TOKENS_PER_DAY = 1_000_000_000_000
MAX_ENTRIES = 1000
"""Entries that count, in the order of their names: each budget takes room in the server run's status."""

MAX_TEXT = 4096
"""Characters of an entry's text."""

# The operator reads every tenant's entries in its event loop: nothing in this pattern may try a text in several ways.
_MEMBER = re.compile(r"""["']?([A-Za-z]+)["']?\s*+:\s*+(?:"([^"]*)"|'([^']*)'|([^"']*))""")
_KEY = "api-key-"

Count = Annotated[int, Field(ge=1, le=MAX_RATE)]


class InvalidLimits(ValueError):
    """A text that is no limits; the message says what would be right, and holds nothing of the text but the name of a field."""


class KeyLimits(ApiModel):
    """Limits of one key. What is absent is as the instance has it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str | None, Field(max_length=63, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@-]*$")] = None
    """Display name of the key."""
    requests_per_minute: Count | None = None
    burst_size: Count | None = None
    reads_per_minute: Count | None = None
    tokens_per_day: Annotated[int | None, Field(ge=1, le=MAX_TOKENS_PER_DAY)] = None
    """Budget of tokens, of prompts and answers together, for each day of UTC."""

    def rate_limit(self, default: RateLimit) -> RateLimit:
        """Return the key's rate limit, where ``default`` is the instance's."""
        return RateLimit(
            requests_per_minute=self.requests_per_minute or default.requests_per_minute,
            burst_size=self.burst_size or default.burst_size,
            reads_per_minute=self.reads_per_minute or default.reads_per_minute,
        )


NO_LIMITS = KeyLimits()


def parse(text: str) -> KeyLimits:
    """Return the limits in a text: one ``field: value`` per line, or separated by commas, as in YAML or JSON of one level.

    Raises InvalidLimits.
    """
    if len(text) > MAX_TEXT:
        raise InvalidLimits(f"write at most {MAX_TEXT} characters; {_FIELDS}")
    body = re.sub(r"(^|\s)#.*", "", text, flags=re.MULTILINE).strip()
    if body.startswith("{") and body.endswith("}"):
        body = body[1:-1]
    members: dict[str, str] = {}
    for part in re.split(r"[,\n]", body):
        if not part.strip():
            continue
        member = _MEMBER.fullmatch(part.strip())
        if member is None:
            raise InvalidLimits(f"write one 'field: value' per line, such as requestsPerMinute: 600; {_FIELDS}")
        name, *values = member.groups()
        if name in members:
            raise InvalidLimits(f"{name} is there twice")
        members[name] = next(value for value in values if value is not None)
    try:
        return KeyLimits.model_validate(members)
    except ValidationError as error:
        raise InvalidLimits(_reason(error)) from None


def display_name(key_id: str, limits: KeyLimits) -> str:
    """Return the name of a key for people: the one in its limits, else its entry's without ``api-key-``."""
    return limits.name or key_id.removeprefix(_KEY) or key_id


_FIELDS = f"the fields are {', '.join(to_camel(name) for name in KeyLimits.model_fields)}"


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    field = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return f"{field} is unknown; {_FIELDS}"
    if field == "name":
        return "name must have at most 63 letters, digits, blanks and . _ @ -, and begin with a letter or digit"
    most = MAX_TOKENS_PER_DAY if field == "tokensPerDay" else MAX_RATE
    return f"{field} must be a whole number from 1 to {most}"
