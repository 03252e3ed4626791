"""The process of ``tests.bench.bare_stream``, the yardstick of a streamed request."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.replica import Process, free_ports, started_process


@contextmanager
def bare_route(folder: Path) -> Iterator[Process]:
    """Run the bare route until the context ends. ``folder`` gets its log."""
    port = free_ports()[0]
    with started_process(
        f"http://127.0.0.1:{port}", "tests.bench.bare_stream", str(port), log=folder / "bare.log"
    ) as found:
        yield found
