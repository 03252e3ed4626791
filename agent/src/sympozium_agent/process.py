"""The agent as a process: from signals and files to an exit code."""

from __future__ import annotations

import os
import signal

from sympozium_agent.agent import FAILED, Agent
from sympozium_agent.log import bind, log_failure
from sympozium_agent.waiting import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sympozium_agent.agent_settings import AgentSettings


def process(settings: AgentSettings) -> int:
    """Run the agent until it has delivered its end record or received SIGTERM; return the exit code."""
    bind({"run": settings.run} if settings.run else {"instance": settings.instance})
    stop = Event()
    signal.set_wakeup_fd(stop.wakeup_fd())  # the kernel may interrupt another thread than the one that waits
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        return Agent(settings, stop, environ=os.environ).run()
    except Exception as failure:  # noqa: BLE001 - the last resort, because a traceback's message could hold content
        log_failure(failure)
        return FAILED
