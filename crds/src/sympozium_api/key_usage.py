"""Tokens that API keys with a budget have used on one day, as the server run's status shows them."""

from typing import Annotated

from pydantic import Field

from sympozium_api.base import ApiModel


class KeyUsage(ApiModel):
    """Tokens of one day by key, of all replicas of the web-proxy."""

    day: Annotated[str, Field(max_length=10)]
    """Day of UTC, as in ``2026-11-28``."""
    tokens: Annotated[dict[str, Annotated[int, Field(ge=0)]], Field(max_length=2000)] = {}
    """Number of tokens by the name of the key's entry."""
