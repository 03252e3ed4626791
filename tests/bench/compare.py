"""``python -m tests.bench.compare QUIET.json BUSY.json``: the ratios of two results of ``make bench``, and how far they are apart."""

import argparse
import json
from pathlib import Path

from tests.bench.report import Figures, ratios, table

AGREE_WITHIN = 0.15


def main() -> None:
    """Print a table of the ratios that both results have."""
    parser = argparse.ArgumentParser(description="Compare the ratios of two results of make bench.")
    parser.add_argument("first", type=Path, help="a copy of .local/bench.json")
    parser.add_argument("second", type=Path, help="another one")
    asked = parser.parse_args()
    print("\n".join(compared(*(json.loads(path.read_text()) for path in (asked.first, asked.second)))))  # noqa: T201


def compared(first: Figures, second: Figures) -> list[str]:
    """Return the lines of the table. A difference above 15 % of the smaller ratio is marked."""
    one, other = ratios(first), ratios(second)
    rows = []
    for name in (name for name in one if name in other):
        apart = max(one[name], other[name]) / min(one[name], other[name]) - 1
        mark = " (!)" if apart > AGREE_WITHIN else ""
        rows.append((name, f"{one[name]:g}", f"{other[name]:g}", f"{apart:.0%}{mark}"))
    return table(("figure", "first", "second", "apart"), rows)


if __name__ == "__main__":
    main()
