"""Model of the usage of runs, and how it is made of sums over the index."""

from datetime import datetime
from typing import Self

from pydantic import Field

from sympozium_api.base import ApiModel
from sympozium_archive.run_costs import dollars_text
from sympozium_archive.times import moment_if_known
from sympozium_archive.usage_queries import Usage
from sympozium_archive.usage_sums import Dimension, Measure

_NAMES: dict[Dimension | None, tuple[str, ...]] = {
    None: (),
    "instance": ("namespace", "instance"),
    "model": ("model",),
    "key": ("key",),
    "source": ("source",),
    "error": ("error",),
}


class Percentiles(ApiModel):
    """Milliseconds that half and 95 % of the runs took at most. Each is the value of some run, rounded down by less than 0.4 %;
    below 512 ms it is exact.
    """

    p50: int
    p95: int


class UsageOfGroup(ApiModel):
    """Sums of one group of runs."""

    bucket: datetime | None
    """Begin of the time in which the runs were accepted; null without the parameter ``bucket``."""
    group: dict[str, str | None]
    """Values that the runs have in common, e.g. ``{"namespace": "default", "instance": "demo"}``; empty without the parameter ``by``."""
    runs: int
    ended: int
    """Number of the runs that have ended."""
    failed: int
    input_tokens: int | None
    """Null if no model reported any."""
    output_tokens: int | None
    cost: str | None
    """US dollars as a decimal number, of the runs that have a price; null if none has. The archive has prices."""
    priced: int
    """Number of the runs that have a price."""
    warm_share: float | None
    """Share of the runs that an idle pod ran, 0 to 1, of those whose start is known; null if none is."""
    waiting_ms: Percentiles | None
    """From acceptance to the start, whose time has whole seconds; null if none of the runs has started."""
    first_token_ms: Percentiles | None
    """From acceptance to the first token; null if none is known."""
    duration_ms: Percentiles | None
    """From acceptance to the end; null if none of the runs has ended."""

    @classmethod
    def of(cls, usage: Usage, by: Dimension | None) -> Self:
        """Return the answer for sums."""

        def percentiles(measure: Measure) -> Percentiles | None:
            found = usage.percentiles.get(measure)
            return Percentiles(p50=found[0], p95=found[1]) if found else None

        return cls(
            bucket=moment_if_known(usage.bucket),
            group=dict(zip(_NAMES[by], usage.group, strict=True)),
            runs=usage.runs,
            ended=usage.ended,
            failed=usage.failed,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=None if usage.cost is None else dollars_text(usage.cost),
            priced=usage.priced,
            warm_share=usage.warm / usage.started if usage.started else None,
            waiting_ms=percentiles("waiting_ms"),
            first_token_ms=percentiles("first_token_ms"),
            duration_ms=percentiles("duration_ms"),
        )


class UsageReport(ApiModel):
    """Sums of the runs that were accepted in a time."""

    from_: datetime = Field(alias="from")
    to: datetime
    counts_since: datetime | None
    """Time of acceptance of the oldest run that is counted at all: none before it is known. Without an archive these are the runs
    that Kubernetes still has. Null if there is none."""
    items: list[UsageOfGroup]
    """By time, then by number of runs."""
