"""``python -m tests.bench.dialect_start``: time from the agent's start to its first call of the model, for each dialect.

No cluster: the agent runs against a fake agent API and a fake server of each vendor on this machine. The samples of all dialects are
taken in turn, so that a busy machine makes all of them slower.
"""

import argparse
import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from tests.bench.agent_start import RUN, processor_ms
from tests.fakes.vendors import Vendors, vendors
from tests.unit.agent.surface import replica
from tests.unit.agent.test_dialects import BASES, task_for

log = logging.getLogger(__name__)

OPENAI = "openai_compat"


async def sample(server: Vendors, dialect: str, folder: Path) -> float:
    """Return the milliseconds from the start of one agent to its request."""
    server.asked.clear()
    async with replica(task_for(server, dialect)) as surface:
        began = time.monotonic()
        await asyncio.to_thread(processor_ms, sys.executable, RUN, str(folder), surface.url, "run")
    return (server.asked[0].at - began) * 1000


async def main() -> None:
    """Print the median of each dialect, and its difference from OpenAI's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=50, help="samples of each dialect")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
    samples = defaultdict[str, list[float]](list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "token").write_text("token")
        (folder / "api-key").write_text("key")
        async with vendors() as server:
            for number in range(arguments.samples + 1):
                for dialect in (OPENAI, *BASES):
                    taken = await sample(server, dialect, folder)
                    if number:  # the first one compiled what was not compiled
                        samples[dialect].append(taken)
    openai = statistics.median(samples[OPENAI])
    for dialect, figures in samples.items():
        median = statistics.median(figures)
        log.info("%-18s p50 %6.1f ms, %+5.1f ms to OpenAI's, n=%d", dialect, median, median - openai, len(figures))


if __name__ == "__main__":
    asyncio.run(main())
