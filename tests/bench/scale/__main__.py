"""``make bench-scale``: what the operator and the web-proxy do on simulated nodes: ``load``, ``growth`` with the number of objects, and
``shards`` of two operators;
``make bench-archive``: how soon the archive has what has ended.

Prints Markdown and writes ``.local/bench-scale/figures.json``. Run under ``$SYMPOZIUM_EXEC``, with ``kwok`` in PATH.
"""

import argparse
import json
import os
from pathlib import Path

from tests.bench.report import Figures
from tests.bench.scale import archive, growth, load, report, shards

FOLDER = Path(".local/bench-scale")
PARTS = ("load", "growth", "shards", "archive")


def main() -> None:
    """Measure the parts that were asked for, and print them."""
    parser = argparse.ArgumentParser(description="Measure on simulated nodes.")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS[:2], help="what to measure (default: load, growth)"
    )
    parser.add_argument("--rates", nargs="+", type=float, default=[50], help="requests per second, one after the other")
    parser.add_argument("--seconds", type=float, default=600, help="how long each")
    parser.add_argument("--pool", type=int, default=100, help="idle pods of the warm pool; 0: every run starts cold")
    parser.add_argument("--replicas", type=int, default=1, help="web-proxies")
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=tuple(growth.KINDS),
        default=tuple(growth.KINDS),
        help="objects that grow in number",
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=[1000, 5000, 20_000], help="how many of them")
    parser.add_argument(
        "--rest", type=float, default=60, help="seconds at rest; ended runs are looked through every 300"
    )
    parser.add_argument("--databases", nargs="+", choices=archive.DATABASES, default=archive.DATABASES)
    parser.add_argument("--ends", type=float, default=50, help="ends per second of runs without pods")
    asked = parser.parse_args()
    figures: Figures = {"load_average": list(os.getloadavg())}
    FOLDER.mkdir(parents=True, exist_ok=True)
    if "load" in asked.parts:
        figures |= load.measure(
            FOLDER, rates=asked.rates, seconds=asked.seconds, pool=asked.pool, replicas=asked.replicas
        )
    if "growth" in asked.parts:
        figures |= growth.measure(FOLDER, kinds=asked.kinds, sizes=asked.sizes, rest=asked.rest)
    if "shards" in asked.parts:
        figures |= shards.measure(FOLDER, rate=asked.rates[0], seconds=asked.seconds, pool=asked.pool)
    if "archive" in asked.parts:
        figures |= archive.measure(
            FOLDER, kinds=asked.databases, rate=asked.rates[0], ends=asked.ends, seconds=asked.seconds
        )
    (FOLDER / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(report.tables(figures))  # noqa: T201 - what the command is for


if __name__ == "__main__":
    main()
