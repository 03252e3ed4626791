"""The agent's log: one JSON line on stderr per important step. Never content, headers, keys or an exception's message.

The lines have the shape of ``sympozium_api.logs``, whose libraries are too slow to import here.
"""

from __future__ import annotations

import json
import sys
import time
from contextvars import ContextVar
from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_BOUND: ContextVar[Mapping[str, str]] = ContextVar("bound", default=MappingProxyType({}))


def bind(fields: Mapping[str, str]) -> None:
    """Add fields to every later line of this thread and of the threads that it starts."""
    _BOUND.set({**_BOUND.get(), **fields})


def log(event: str, *, level: str = "info", **fields: str | float | None) -> None:
    """Write one line; ``fields`` are names, statuses and counts."""
    now = time.time()
    moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"
    line = {"event": event, "level": level, "timestamp": moment} | dict(_BOUND.get()) | fields
    sys.stderr.write(json.dumps(line) + "\n")


def log_failure(failure: BaseException) -> None:
    """Log a failure of the agent itself by its class and place, because its message could quote a prompt."""
    import traceback  # noqa: PLC0415 - an import is latency, and failures are rare

    frames = traceback.extract_tb(failure.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else None
    log("agent_failed", level="error", error=type(failure).__name__, place=place)
