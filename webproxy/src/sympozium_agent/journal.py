"""The agent's log: one JSON line on stderr per important step. Never content, headers, keys or an exception's message."""

import json
import sys
import time
import traceback


def log(step: str, **facts: str | float | None) -> None:
    """Write one line; ``facts`` are names, statuses and counts."""
    sys.stderr.write(json.dumps({"time": round(time.time(), 3), "step": step} | facts) + "\n")


def failed(failure: BaseException) -> None:
    """Log a failure of the agent's own by its class and place: its message could quote a prompt."""
    frames = traceback.extract_tb(failure.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else None
    log("agent_failed", error=type(failure).__name__, place=place)
