"""The charts of usage, made of its report. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sympozium_console.pages.charts import Chart, Series, bar_chart, line_chart
from sympozium_console.usage_report import Percentiles, UsageOfGroup, UsageReport

_MINUTES = (1, 5, 15, 30, 60, 180, 360, 1440, 10_080)
_MOST_BUCKETS = 60
_MICRO = 1_000_000


def bucket_of(since: int, until: int) -> int:
    """Return the size of the times by which runs are grouped, in microseconds: a chart has at most 60 of them, or weeks."""
    minutes = (until - since) / _MICRO / 60
    fitting = (size for size in _MINUTES if minutes / size <= _MOST_BUCKETS)
    return next(fitting, _MINUTES[-1]) * 60 * _MICRO


def charts_of(report: UsageReport, bucket: int) -> list[Chart]:
    """Return the charts of a report that is grouped by time: runs by end, tokens, and three durations."""
    times = _times(report, bucket)
    by_time = {item.bucket: item for item in report.items}
    items = [by_time.get(moment) for moment in times]
    return [*count_charts(times, items), *_durations(times, items)]


def count_charts(times: Sequence[datetime], items: Sequence[UsageOfGroup | None]) -> list[Chart]:
    """Return the charts of runs and of tokens."""
    runs = [
        Series("ended well, or were cancelled", "good", _values(items, lambda item: item.ended - item.failed)),
        Series("failed", "bad", _values(items, lambda item: item.failed)),
        Series("have not ended", "off", _values(items, lambda item: item.runs - item.ended)),
    ]
    tokens = [
        Series("input", "accent", _values(items, lambda item: item.input_tokens)),
        Series("output", "waiting", _values(items, lambda item: item.output_tokens)),
    ]
    return [bar_chart("Runs", times, runs), bar_chart("Tokens", times, tokens)]


def _durations(times: Sequence[datetime], items: Sequence[UsageOfGroup | None]) -> list[Chart]:
    measures: tuple[tuple[str, Callable[[UsageOfGroup], Percentiles | None]], ...] = (
        ("Waited for the start", lambda item: item.waiting_ms),
        ("First token", lambda item: item.first_token_ms),
        ("Duration", lambda item: item.duration_ms),
    )
    return [line_chart(title, times, _percentiles(items, measure)) for title, measure in measures]


def _percentiles(
    items: Sequence[UsageOfGroup | None], measure: Callable[[UsageOfGroup], Percentiles | None]
) -> list[Series]:
    found = [None if item is None else measure(item) for item in items]
    return [
        Series("p50", "p50", [None if one is None else one.p50 for one in found]),
        Series("p95", "p95", [None if one is None else one.p95 for one in found]),
    ]


def _times(report: UsageReport, bucket: int) -> list[datetime]:
    """Return the begin of each time from the first bucket to the last, also of those without a run."""
    step = timedelta(microseconds=bucket)
    epoch = datetime(1970, 1, 1, tzinfo=report.from_.tzinfo)
    first = epoch + (report.from_ - epoch) // step * step
    return [first + step * at for at in range(-(-(report.to - first) // step))]


def _values(items: Sequence[UsageOfGroup | None], value: Callable[[UsageOfGroup], float | None]) -> list[float | None]:
    return [None if item is None else value(item) for item in items]
