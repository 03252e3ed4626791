"""Figures as a table."""

import statistics
from collections.abc import Sequence
from typing import Any

Figures = dict[str, Any]


def spread(values: Sequence[float]) -> dict[str, float]:
    """n, median, 95th percentile (nearest rank) and maximum."""
    ordered = sorted(values)
    if not ordered:
        return {"n": 0}
    nearest = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {
        "n": len(ordered),
        "p50": round(statistics.median(ordered), 4),
        "p95": round(nearest, 4),
        "max": round(ordered[-1], 4),
    }


def table(figures: Figures) -> str:
    """The figures as Markdown, with the goals of the design beside those that have one."""
    job, cold = figures["bare_job_first_line_s"], figures["cold_first_token_s"]
    burst = figures["burst_seconds"]
    rows = [
        ("bare Job: created to first line", _ms(job), "the yardstick"),
        (
            "the same with Kubernetes' default token volume",
            _ms(figures["token_job_first_line_s"]),
            "the fair one: a run has one too",
        ),
        ("cold run: request to first token", _ms(cold), "p50 at most 1.75 x bare Job, p95 at most 1.4 x p50"),
        ("... p50 as a multiple of the bare Job's", f"{cold['p50'] / job['p50']:.2f} x", "<= 1.75 x"),
        ("... of the Job's with a token volume", f"{cold['p50'] / figures['token_job_first_line_s']['p50']:.2f} x", ""),
        ("... p95 as a multiple of p50", f"{cold['p95'] / cold['p50']:.2f} x", "<= 1.4 x"),
        ("cold run: request to end", _ms(figures["cold_total_s"]), ""),
        ("a token: model's send to caller's receipt", _ms(figures["chunk_delay_s"]), "<= 20 ms"),
        ("last token to end of the answer", _ms(figures["last_token_to_end_s"]), "<= 20 ms"),
        (f"{burst['n']} requests at concurrency 10", _ms(burst), "p95 <= 2 x p50"),
        ("... per second", f"{figures['burst_per_second']}", ">= 2.5"),
        ("... lost", f"{figures['burst_lost']}", "0"),
        ("API writes per run", _writes(figures["api_writes_per_run"]), "ours <= 5, all <= 22"),
        ("API writes per bare Job", _writes(figures["api_writes_per_bare_job"]), ""),
        *(
            (f"memory of {name}", f"{megabytes} MB", "<= 60 MB" if name == "sympozium_agent" else "<= 120 MB")
            for name, megabytes in figures["memory_mb"].items()
        ),
    ]
    lines = [f"load average {figures['load_average'][0]:.1f}", "", "| figure | measured | goal |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {measured} | {goal} |" for name, measured, goal in rows)])


def _ms(values: dict[str, float]) -> str:
    if not values["n"]:
        return "none"
    return f"p50 {values['p50'] * 1000:.0f}, p95 {values['p95'] * 1000:.0f}, max {values['max'] * 1000:.0f} ms (n={values['n']})"


def _writes(counts: dict[str, float]) -> str:
    return ", ".join(f"{who} {count:g}" for who, count in counts.items()) or "not counted: no audit log"
