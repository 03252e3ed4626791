"""Figures as tables, in the order of docs/benchmarks.md; parts that were not measured are left out."""

import statistics
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

Figures = dict[str, Any]
Row = tuple[str, str, str]
"""Figure, what was measured, goal."""
BEGIN, END = "<!-- tables of make bench -->", "<!-- end of the tables of make bench -->"
"""Marks of the place in a page where the tables stand."""
_COLUMNS = 120
"""Of prose in a page."""


def spread(values: Sequence[float]) -> dict[str, float]:
    """n, median, 95th and 99th percentile (nearest rank) and maximum."""
    ordered = sorted(values)
    if not ordered:
        return {"n": 0}
    return {
        "n": len(ordered),
        "p50": round(statistics.median(ordered), 5),
        "p95": round(_rank(ordered, 0.95), 5),
        "p99": round(_rank(ordered, 0.99), 5),
        "max": round(ordered[-1], 5),
    }


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def tables(figures: Figures) -> str:
    """The figures as Markdown, with the goals of the design beside those that have one; and the waterfall of a cold run."""
    state = textwrap.fill(_machine(figures), _COLUMNS, break_long_words=False, break_on_hyphens=False)
    lines = [state, "", *table(("figure", "measured", "goal"), _rows(figures))]
    if "bursts" in figures:
        lines += ["", *_processor_time(figures["bursts"])]
    if steps := figures.get("waterfall_s"):
        waterfall = [(name, f"{step['at'] * 1000:.0f}", f"{step['took'] * 1000:.0f}") for name, step in steps.items()]
        lines += ["", *table(("cold run, p50", "ms since the request", "ms since the step before"), waterfall)]
    return "\n".join(lines)


def _rows(figures: Figures) -> list[Row]:
    parts = {
        "cold_first_token_s": _cold,
        "bursts": _bursts,
        "memory_mb": _memory,
        "warm_s": _warm,
        "overhead_s": _overhead,
        "stream_cpu": _stream_cost,
        "agent_start_ms": _agent_start,
        "operator_run_cpu": _operator_cost,
        "operator_memory": _operator_memory,
        "mcp_calls": _mcp,
        "tool_call_own_s": _tools,
        "start_beside_instances": _starts,
        "held_mb": _held,
        "archive": _archive,
    }
    return [row for key, part in parts.items() if key in figures for row in part(figures)]


def ratios(figures: Figures) -> dict[str, float]:
    """Return every figure that is a multiple of a yardstick, by its name with that of the row which it belongs to."""
    found, whole = {}, ""
    for name, measured, _ in _rows(figures):
        whole = whole if name.startswith("...") else name
        if measured.endswith(" x"):
            found[f"{whole}: {name}"] = float(measured.removesuffix(" x"))
    return found


def with_tables(page: str, figures: Figures) -> str:
    """Return a page with these tables between its two marks. Raises ValueError where a page has no marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables(figures)}\n\n{END}{after}"


def _machine(figures: Figures) -> str:
    """Return the sentence about the machine: what it is worth, and whether it was quiet."""
    state = figures["machine"]
    load = ", ".join(f"{part:.1f}" for part in figures["load_average"])
    quiet = "quiet" if state["quiet"] else "**not quiet**, so only ratios can be compared"
    waited = f"{state['busy_cores']} cores in use after a wait of {state['waited_s']} s, load average {load}"
    others = "; ".join(dict.fromkeys(figures.get("unquiet_parts", [])))
    later = f" Other work had not ended before these parts began: {others}." if others else ""
    return f"The machine was {quiet}: {waited}. A million additions took {state['million_additions_ms']} ms.{later}"


def _processor_time(bursts: Figures) -> list[str]:
    """Return the table of processor time per run by part."""
    names = list(dict.fromkeys(name for burst in bursts.values() for name in burst["cpu_ms_per_run"]))
    head = ("processor time of a cold run", *(f"ms at concurrency {concurrency}" for concurrency in bursts))
    rows = [(name, *(f"{burst['cpu_ms_per_run'].get(name, 0):.0f}" for burst in bursts.values())) for name in names]
    totals = (f"{sum(burst['cpu_ms_per_run'].values()):.0f}" for burst in bursts.values())
    return table(head, [*rows, ("all", *totals)])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def _cold(figures: Figures) -> Iterator[Row]:
    job, volume, cold = (
        figures[f"{name}_s"] for name in ("bare_job_first_line", "token_job_first_line", "cold_first_token")
    )
    yield "bare Job: created to first line", _ms(job), "the yardstick"
    yield "Job with a token volume: created to first line", _ms(volume), ""
    yield "cold run: request to first token", _ms(cold), ""
    yield "... p50 as a multiple of the bare Job's", f"{cold['p50'] / job['p50']:.2f} x", ""
    yield "... of the Job's with a token volume", f"{cold['p50'] / volume['p50']:.2f} x", "<= 1.10 x"
    yield "... p95 as a multiple of p50", f"{cold['p95'] / cold['p50']:.2f} x", "<= 1.4 x"
    yield "cold run: request to end", _ms(figures["cold_total_s"]), ""
    yield "a token: model's send to caller's receipt", _ms(figures["chunk_delay_s"]), "<= 20 ms"
    yield "last token to the end of the answer", _ms(figures["last_token_to_end_s"]), "<= 20 ms"
    yield "API writes per run", _writes(figures["api_writes_per_run"]), "ours <= 5, all <= 22"
    yield "API writes per bare Job", _writes(figures["api_writes_per_bare_job"]), ""


def _bursts(figures: Figures) -> Iterator[Row]:
    for concurrency, burst in figures["bursts"].items():
        count = burst["total_s"]["n"] + burst["lost"]
        yield f"{count} requests at concurrency {concurrency}: to first token", _ms(burst["first_token_s"]), ""
        yield "... to end", _ms(burst["total_s"]), "p95 <= 2 x p50"
        jobs = burst["jobs_per_second"]
        yield "... runs per second", f"{burst['per_second']}", ""
        yield "... Jobs with a token volume, bare Jobs per second", f"{jobs['token']}, {jobs['bare']}", ""
        share = burst["per_second"] / jobs["token"] if jobs["token"] else 0.0
        goal = ">= 0.92 x" if concurrency == "10" else ""
        yield "... runs as a multiple of Jobs with a token volume", f"{share:.2f} x", goal
        yield "... lost", f"{burst['lost']}", "0"


def _memory(figures: Figures) -> Iterator[Row]:
    for name, megabytes in figures["memory_mb"].items():
        yield f"memory: {name}", f"{megabytes} MB", "<= 60 MB" if name == "agent" else "<= 120 MB"


def _warm(figures: Figures) -> Iterator[Row]:
    goals = ("p50 <= 15, p99 <= 60 ms", "p50 <= 46, p99 <= 228 ms", "p99 <= 300 ms")
    job = figures.get("token_job_first_line_s")
    for (name, values), goal in zip(figures["warm_s"].items(), goals, strict=True):
        yield f"warm: {name}, request to first token", _ms(values, 1), goal
        if job and values["n"]:
            yield "... p50 as a multiple of a Job's with a token volume", f"{values['p50'] / job['p50']:.3f} x", ""
    yield "... lost; started cold", f"{figures['warm_lost']}; {figures['warm_started_cold']}", "0; 0"
    yield f"... a pool of {figures['warm_pool']} is filled in", f"{figures['warm_filled_s']} s", ""


def _overhead(figures: Figures) -> Iterator[Row]:
    rate, held = figures["overhead_per_second"], figures["overhead_memory_mb"]
    yield "web-proxy alone: rate", figures["overhead_rate"], "200/s held"
    yield (
        f"... {rate:.0f} requests per second: overhead",
        _ms(figures["overhead_s"], 1),
        "p50 < 2, p99 < 10 ms",
    )
    yield "... with the stand-in's share", _ms(figures["overhead_total_s"], 1), ""
    bare, own = figures["overhead_bare_route_s"], figures["overhead_s"]
    yield "... a bare route that streams the same bytes", _ms(bare, 1), "the yardstick"
    if bare["n"] and own["n"]:
        yield "... overhead's p50 as a multiple of its p50", f"{own['p50'] / bare['p50']:.2f} x", ""
    cpu = f"{figures['overhead_cpu_cores']} cores, {figures['overhead_cpu_ms_per_request']} ms per request"
    yield "... its processor time", cpu, ""
    yield (
        f"... its memory before and after {figures['overhead_s']['n']} requests",
        f"{held['before']}, {held['after']} MB",
        "flat",
    )


def _stream_cost(figures: Figures) -> Iterator[Row]:
    cost = figures["stream_cpu"]
    yield (
        f"processor time of a streamed request (n={cost['n']}): web-proxy, bare route",
        f"{cost['web_proxy']}, {cost['bare_route']} ms",
        "",
    )
    yield "... as a multiple of the bare route's", f"{cost['ratio']:.1f} x", "<= 2.5 x"
    yield (
        "... of a process that has the same exchanges and does nothing else",
        f"{cost['bare_exchanges']} ms, {cost['ratio_of_exchanges']:.1f} x the bare route's",
        "",
    )


def _agent_start(figures: Figures) -> Iterator[Row]:
    took, idle = figures["agent_start_ms"], figures["agent_idle_mb"]
    yield (
        f"processor time of a Python that does nothing, of the agent's imports, of its run (n={took['n']})",
        f"{took['nothing']}, {took['import']}, {took['run']} ms",
        "",
    )
    yield "... the imports as a multiple of nothing", f"{took['import'] / took['nothing']:.2f} x", "<= 2.5 x"
    yield "... a whole run as a multiple of nothing", f"{took['run'] / took['nothing']:.2f} x", ""
    yield (
        "memory of a Python that sleeps, of an agent that waits for its task",
        f"{idle['rest']}, {idle['agent']} MB",
        "12 MB",
    )


def _operator_cost(figures: Figures) -> Iterator[Row]:
    cost = figures["operator_run_cpu"]
    yield f"processor time of the operator for a cold run (n={cost['n']})", f"{cost['ms_per_run']} ms", "<= 20 ms"
    ratio = cost["ms_per_run"] / cost["million_additions_ms"]
    yield "... as a multiple of a million additions", f"{ratio:.2f} x", "<= 0.15 x"
    yield "... API writes of the operator, without the run's deletion", f"{cost['writes_per_run']}", "2"


def _operator_memory(figures: Figures) -> Iterator[Row]:
    held = figures["operator_memory"]
    count = held["instances"]
    yield f"memory of the operator with 1, {count} instances", f"{held['mb_with_one']}, {held['mb']} MB", ""
    yield "... of each instance", f"{held['kb_per_instance']} kB", "<= 9 kB"
    yield "... with 20,000 instances, by that count", f"{held['mb_with_20000']} MB", "<= 250 MB"
    yield f"... of each idle pod (n={held['idle_pods']})", f"{held['kb_per_idle_pod']} kB", "<= 9 kB"


def _starts(figures: Figures) -> Iterator[Row]:
    found = figures["start_beside_instances_s"]
    yield (
        f"new run's watch event to its Job, beside {figures['start_beside_instances']} instances (n={found['n']})",
        f"p50 {1000 * found['p50']:.0f} ms, p95 {1000 * found['p95']:.0f} ms",
        "p95 50 ms",
    )


def _mcp(figures: Figures) -> Iterator[Row]:
    yield (
        f"MCP: stateless tool calls per second (n={figures['mcp_calls']})",
        f"{figures['mcp_calls_per_second']}",
        "> 400",
    )
    yield "... per second of the web-proxy's processor time", f"{figures['mcp_calls_per_cpu_second']}", ""
    yield _additions(figures, 1000 / figures["mcp_calls_per_cpu_second"])
    held = ", ".join(f"{after}: {megabytes} MB" for after, megabytes in figures["mcp_memory_mb"].items())
    yield "... its memory after MCP sessions", held, "flat"


def _additions(figures: Figures, milliseconds: float) -> Row:
    """Return processor time as a multiple of that of a loop on the same machine."""
    ratio = milliseconds / figures["machine"]["million_additions_ms"]
    return "... processor time of a call as a multiple of a million additions", f"{ratio:.3f} x", ""


def _tools(figures: Figures) -> Iterator[Row]:
    rate, held = figures["tool_calls_per_second"], figures["tool_memory_mb"]
    yield (
        f"egress guard's share of a call, at {rate} per second",
        _ms(figures["tool_call_own_s"], 1),
        "p50 <= 10, p99 <= 40 ms",
    )
    yield "... its processor time", f"{figures['tool_call_cpu_ms']} ms per call", ""
    yield _additions(figures, figures["tool_call_cpu_ms"])
    memory = f"{held['before']}, {held['after']} MB"
    yield f"... its memory before and after {held['calls']} calls", memory, "flat"


def _held(figures: Figures) -> Iterator[Row]:
    callers, held = figures["held_callers"], figures["held_mb"]
    yield (
        f"web-proxy with n={callers['waiting']} waiting bodies of 1 MB and n={callers['streams']} answers of 32,000 tokens",
        f"{held['held']} MB, peak {held['peak']} MB (idle: {held['idle']} MB; counted: {held['counted']} MiB)",
        "at most 200 MB",
    )
    yield "... a replica that starts then", f"{held['start']} MB, peak {held['start_peak']} MB", "at most 200 MB"


def _archive(figures: Figures) -> Iterator[Row]:
    for database, found in figures["archive"].items():
        index, rows = found["index"], f"{found['rows']:,} runs"
        yield f"archive on {database}, {rows}: SELECT 1", _ms(found["select_1"]), "the yardstick"
        yield "... page of the history, offset to 1,000, a filter", _ms(found["history_page"]), "p95 50 ms"
        yield "... 20,000 runs: list of the newest", _ms(index["list"]), "p95 100 ms"
        yield "... 20,000 runs: counts", _ms(index["counts"]), "p95 100 ms"
        yield "... batch of 10 rows, five of them a second", _ms(found["upsert_of_10"]), ""
        yield "... content of 4 KB", _ms(found["content_of_4_kb"]), ""
        if "bytes_per_1000_runs" in found:
            size = f"{found['bytes_per_1000_runs'] / 1e6:.2f} MB"
            yield "... size of the file per 1,000 runs, without contents", size, ""


def _ms(values: dict[str, float], digits: int = 0) -> str:
    if not values["n"]:
        return "none"
    parts = [
        f"{name} {values[name] * 1000:.{digits}f}" for name in ("p50", "p95", "p99", "max") if name != "p99" or digits
    ]
    return f"{', '.join(parts)} ms (n={values['n']})"


def _writes(counts: dict[str, float]) -> str:
    return ", ".join(f"{who} {count:g}" for who, count in counts.items()) or "not counted: no audit log"
