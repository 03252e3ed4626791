"""Gauges of API keys, read at each scrape: their names, and the tokens of those with a budget."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class KeyCollector(Collector):
    """Collector of keys; without a key until ``bind``."""

    def __init__(self) -> None:
        self._key_names: Callable[[], Mapping[str, str]] = dict
        self._usage: Callable[[], Mapping[str, tuple[int, int]]] = dict

    def bind(
        self, key_names: Callable[[], Mapping[str, str]], usage: Callable[[], Mapping[str, tuple[int, int]]]
    ) -> None:
        """Read these: the display name of each key, and today's tokens and the budget of each key that has one."""
        self._key_names, self._usage = key_names, usage

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauges."""
        names = GaugeMetricFamily(
            "sympozium_key_info", "API keys and their display names; always 1.", labels=["key", "name"]
        )
        used = GaugeMetricFamily(
            "sympozium_key_tokens_today", "Tokens of the day (UTC) of keys with a budget.", labels=["key"]
        )
        limit = GaugeMetricFamily("sympozium_key_token_budget", "Tokens per day of keys with a budget.", labels=["key"])
        for key, name in self._key_names().items():
            names.add_metric([key, name], 1)
        for key, (tokens, budget) in self._usage().items():
            used.add_metric([key], tokens)
            limit.add_metric([key], budget)
        return names, used, limit
