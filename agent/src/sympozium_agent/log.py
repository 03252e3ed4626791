"""The agent's log: one JSON line on stderr per important step. Never content, headers, keys or an exception's message.

The shape is that of ``sympozium_api.logs``, whose libraries are too slow to import here.
"""

import json
import sys
import time
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

_ABOUT: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))


def about(facts: Mapping[str, str]) -> None:
    """What every line says from now on, here and in the tasks that begin here."""
    _ABOUT.set({**_ABOUT.get(), **facts})


def log(event: str, *, level: str = "info", **facts: str | float | None) -> None:
    """Write one line; ``facts`` are names, statuses and counts."""
    now = time.time()
    moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"
    line = {"event": event, "level": level, "timestamp": moment} | dict(_ABOUT.get()) | facts
    sys.stderr.write(json.dumps(line) + "\n")


def failed(failure: BaseException) -> None:
    """Log a failure of the agent's own by its class and place: its message could quote a prompt."""
    frames = traceback.extract_tb(failure.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else None
    log("agent_failed", level="error", error=type(failure).__name__, place=place)
