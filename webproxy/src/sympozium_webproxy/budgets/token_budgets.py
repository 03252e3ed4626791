"""Token budgets of API keys: today's tokens of each key, of this replica and as the others have reported them. No I/O."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sympozium_api.key_usage import KeyUsage
from sympozium_api.run import AgentRun
from sympozium_api.timestamps import timestamp


@dataclass(frozen=True)
class BudgetVerdict:
    """State of one key's budget, with the figures for the answer's headers."""

    limit: int
    """Tokens per day."""
    used: int
    """Tokens of today, as far as this replica knows."""
    reset_at: str
    """Time at which the next day begins."""
    reset_seconds: int
    """Seconds until then."""

    @property
    def allowed(self) -> bool:
        """Return True if a request may make a run: the budget is not used up yet."""
        return self.used < self.limit

    def headers(self) -> dict[str, str]:
        """Return the headers that OpenAI's clients read."""
        return {
            "x-ratelimit-limit-tokens": str(self.limit),
            "x-ratelimit-remaining-tokens": str(max(0, self.limit - self.used)),
            "x-ratelimit-reset-tokens": f"{self.reset_seconds}s",
        }


class TokenBudgets:
    """Tokens of the keys that have a budget. Days are those of UTC."""

    def __init__(self, budgets: Callable[[], Mapping[str, int]], now: Callable[[], datetime]) -> None:
        """``budgets`` returns the tokens per day of each key that has a budget."""
        self._budgets = budgets
        self._now = now
        self._day = ""
        self._reported: dict[str, int] = {}
        """Tokens in the server run's status, of all replicas."""
        self._own: dict[str, int] = {}
        """Tokens that this replica has not reported yet."""

    @property
    def today(self) -> str:
        """The day, as in ``2026-11-28``."""
        return self._now().date().isoformat()

    def verdict(self, key_id: str) -> BudgetVerdict | None:
        """Return the state of a key's budget; None: it has none."""
        limit = self._budgets().get(key_id)
        if limit is None:
            return None
        now = self._now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        seconds = max(1, math.ceil((midnight - now).total_seconds()))
        return BudgetVerdict(limit, self._used(key_id), timestamp(midnight), seconds)

    def count(self, key_id: str, tokens: int) -> None:
        """Count the tokens of a run that this replica stored."""
        if tokens > 0 and key_id in self._budgets():
            self._begin_day()
            self._own[key_id] = self._own.get(key_id, 0) + tokens

    def usage(self) -> dict[str, tuple[int, int]]:
        """Return the tokens of today and the budget of each key that has one."""
        return {key_id: (self._used(key_id), limit) for key_id, limit in self._budgets().items()}

    def unreported(self) -> dict[str, int]:
        """Return the tokens of today that only this replica knows."""
        self._begin_day()
        return dict(self._own)

    @property
    def reported(self) -> Mapping[str, int]:
        """Tokens of today that the server run's status has shown, of all replicas."""
        self._begin_day()
        return self._reported

    def on_reported(self, own: Mapping[str, int], usage: KeyUsage) -> None:
        """Take over a report that was stored: ``own`` of it are this replica's."""
        if usage.day != self._day:
            return
        self._own = {key_id: rest for key_id, tokens in self._own.items() if (rest := tokens - own.get(key_id, 0)) > 0}
        self._take_over(usage)

    def on_server_run(self, run: AgentRun) -> None:
        """Take over what the server run's status shows."""
        self._begin_day()
        if run.status.key_usage is not None and run.status.key_usage.day == self._day:
            self._take_over(run.status.key_usage)

    def _take_over(self, usage: KeyUsage) -> None:
        """Raise the reported tokens: a day's never shrink, and a watch may show an older state than the last write's."""
        for key_id, tokens in usage.tokens.items():
            self._reported[key_id] = max(tokens, self._reported.get(key_id, 0))

    def _used(self, key_id: str) -> int:
        self._begin_day()
        return self._reported.get(key_id, 0) + self._own.get(key_id, 0)

    def _begin_day(self) -> None:
        if (today := self.today) != self._day:
            self._day, self._reported, self._own = today, {}, {}
