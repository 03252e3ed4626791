"""The installation's own prices: a file with US dollars per million tokens by model, mounted from ConfigMap sympozium-prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import structlog
import yaml

log = structlog.get_logger()

_MILLION = 1_000_000
_HIGHEST = Decimal(1_000_000)
_FIELDS = ("input", "output", "cached")


class BadPrices(ValueError):
    """Prices that cannot be read. The message names model and field."""


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens."""

    input: Decimal
    output: Decimal
    cached: Decimal
    """Of tokens of the prompt that were read from the vendor's cache."""

    def of(self, input_tokens: int, output_tokens: int, cached_tokens: int) -> Decimal:
        """Return the price of a run in US dollars. The cached tokens are among ``input_tokens``."""
        cached = min(cached_tokens, input_tokens)
        millionths = (input_tokens - cached) * self.input + cached * self.cached + output_tokens * self.output
        return millionths / _MILLION


class PriceFile:
    """Reader of the file, which is read again when it changes. One that cannot be read leaves the prices as they were."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._prices: Mapping[str, Price] = {}

    def price(self, model: str) -> Price | None:
        """Return the price of a model; None if the file has none."""
        self._refresh()
        return self._prices.get(model)

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
            seen = found.st_mtime_ns, found.st_ino
            if seen == self._seen:
                return
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            self._seen, self._prices = None, {}
            return
        except (OSError, UnicodeDecodeError) as failure:
            log.warning("prices cannot be read", error=type(failure).__name__)
            return
        self._seen = seen
        try:
            self._prices = parse_prices(text)
        except BadPrices as failure:
            log.warning("prices cannot be read", error=str(failure))


def parse_prices(text: str) -> dict[str, Price]:
    """Return the prices in a YAML text. Raises BadPrices."""
    try:
        given = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - texts only, so that decimals stay exact
    except yaml.YAMLError as failure:
        raise BadPrices("prices.yaml is not YAML") from failure
    if not isinstance(given, dict | None):
        raise BadPrices("prices.yaml must map models to prices")
    return {model: _price(model, fields) for model, fields in (given or {}).items()}


def _price(model: str, fields: Any) -> Price:
    if not isinstance(fields, dict) or not {"input", "output"} <= set(fields) <= set(_FIELDS):
        raise BadPrices(f"{model}: write input, output and, if it differs from input, cached")
    values = {name: _decimal(f"{model}.{name}", text) for name, text in fields.items()}
    return Price(values["input"], values["output"], values.get("cached", values["input"]))


def _decimal(field: str, text: Any) -> Decimal:
    try:
        value = Decimal(text) if isinstance(text, str) else Decimal("NaN")
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value <= _HIGHEST:
        raise BadPrices(f"{field}: write US dollars per million tokens, such as 2.50")
    return value
