"""Costs of runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sympozium_archive.run_costs import Cost, nano_dollars
from sympozium_archive.run_rows import RunRow
from sympozium_archive.times import moment
from sympozium_console.prices.price_file import PriceFile


@dataclass(frozen=True)
class Tokens:
    """Tokens of one run."""

    input: int
    output: int
    cached: int = 0
    """Tokens of the prompt that were read from the vendor's cache; part of ``input``."""
    cache_written: int = 0
    """Tokens of the prompt that were written to it; part of ``input``."""


class Pricing:
    """Calculator of costs. ``path``: the file of the installation's own prices, which may be missing."""

    def __init__(self, path: Path) -> None:
        self._own = PriceFile(path)

    def cost(self, row: RunRow, usage: Mapping[str, Any]) -> Cost | None:
        """Return the cost of a run that has ended; None if it has no price. ``usage`` is the model's own count, as OpenAI has it."""
        if row.model is None or row.input_tokens is None or row.output_tokens is None:
            return None
        tokens = Tokens(row.input_tokens, row.output_tokens, *_cached(usage, row.input_tokens))
        if (price := self._own.price(row.model)) is not None:
            return _cost(row, price.of(tokens.input, tokens.output, tokens.cached), row.model)
        return _library_cost(row, row.model, tokens)


def _library_cost(row: RunRow, model: str, tokens: Tokens) -> Cost | None:
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - 30 MB, only where runs are archived

    usage = Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cached,
        cache_write_tokens=tokens.cache_written,
    )
    try:
        found = calc_price(usage, model, genai_request_timestamp=moment(row.created_at))
    except (LookupError, ValueError):  # an unknown model, or counts that contradict one another
        return None
    return _cost(row, found.total_price, found.model.id)


def _cost(row: RunRow, dollars: Decimal, label: str) -> Cost:
    return Cost(row.uid, nano_dollars(dollars), label)


def _cached(usage: Mapping[str, Any], most: int) -> tuple[int, int]:
    """Return the tokens that were read from and written to the cache, together no more than those of the prompt."""
    details = usage.get("prompt_tokens_details")
    if not isinstance(details, Mapping):
        return 0, 0
    read = min(_count(details.get("cached_tokens")), most)
    return read, min(_count(details.get("cache_creation_tokens")), most - read)


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
