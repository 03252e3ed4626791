"""The figures as Markdown."""

from collections.abc import Iterator

from tests.bench.report import Figures


def tables(figures: Figures) -> str:
    """Measured figures."""
    lines = [f"load average before: {', '.join(f'{part:.1f}' for part in figures['load_average'])}"]
    for load in figures.get("loads", ()):
        lines += ["", *_load(load)]
    if "growth" in figures:
        lines += ["", *_growth(figures)]
    if "shards" in figures:
        lines += ["", *_shards(figures["shards"])]
    if "archive" in figures:
        lines += ["", *_archive(figures)]
    return "\n".join(lines)


def _shards(found: Figures) -> Iterator[str]:
    account = found["account"]
    yield f"| two operators, two shards, {found['per_second']:g} requests a second, twice {found['seconds']:g} s | |"
    yield "| --- | --- |"
    yield f"| runs admitted by each, before the kills | {_counts(found['admitted'])} |"
    yield f"| operators killed | {len(found['killed'])} |"
    for name in ("requests", "runs", "starts", "errors"):
        yield f"| {name} | {_counts(account[name])} |"
    wrong = {name: count for name, count in account["wrong"].items() if count}
    yield f"| what does not fit together | {_counts(wrong)} |"


def _archive(figures: Figures) -> Iterator[str]:
    yield "| runs | end to row, s | without a row | console |"
    yield "| --- | --- | --- | --- |"
    for row in figures["archive"]:
        lag = row["end_to_row_s"]
        times = ", ".join(f"{name} {lag[name]:.2f}" for name in ("p50", "p95", "max") if name in lag)
        what = f"{row['runs']:,} {row['what']}, {row['per_second']:g}/s, {row['database']}"
        yield f"| {what} | {times} (n={lag['n']}) | {row['not_archived']} | {row['console_mb']} MB, {row['console_cpu_s']} s |"


def _load(load: Figures) -> Iterator[str]:
    found, first = load["account"], load["first_token_s"]
    asked = f"{load['per_second']:g} requests a second for {load['seconds']:g} s, {load['replicas']} web-proxies, {load['pool']} idle pods"
    yield f"| {asked} | |"
    yield "| --- | --- |"
    yield f"| all had ended after | {load['took_s']} s |"
    for name in ("requests", "runs", "starts", "errors"):
        yield f"| {name} | {_counts(found[name])} |"
    yield f"| pods; how they ended | {found['pods']}; {_counts(found['pods_ended'])} |"
    yield f"| what does not fit together | {_counts({name: count for name, count in found['wrong'].items() if count})} |"
    times = ", ".join(f"{name} {first[name]:.3f}" for name in ("p50", "p95", "p99", "max") if name in first)
    yield f"| request to first token, s | {times} (n={first['n']}) |"
    yield f"| load average before; cores | {load['load_average']:.1f}; {_counts(load['cores'])} |"
    held = ", ".join(f"{name} {before:g} and {after:g}" for name, (before, after) in load["memory_mb"].items())
    yield f"| MB before and after | {held} |"


def _counts(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {count:g}" for name, count in found.items()) or "none"


def _growth(figures: Figures) -> Iterator[str]:
    yield "| objects | a new leader has looked at all after | cores at rest | MB at rest | most MB |"
    yield "| --- | --- | --- | --- | --- |"
    for row in figures["growth"]:
        count = f"{row['count']:,} {row['kind']}" if row["count"] else row["kind"]
        took = "never" if row["looked_at_all_s"] is None else f"{row['looked_at_all_s']} s"
        yield f"| {count} | {took} | {row['cores']} | {row['memory_mb']} | {row['most_memory_mb']} |"
