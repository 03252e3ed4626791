"""The agent as a process: from signals and files to a coroutine and an exit code."""

import asyncio
import os
import signal

from sympozium_agent.agent import FAILED, Agent
from sympozium_agent.agent_settings import AgentSettings
from sympozium_agent.log import bind, log_failure


def process(settings: AgentSettings) -> int:
    """Run the agent until it has delivered its end record or received SIGTERM; return the exit code."""
    bind({"run": settings.run} if settings.run else {"instance": settings.instance})
    try:
        return asyncio.run(_run(settings))
    except Exception as failure:  # noqa: BLE001 - the last resort, because a traceback's message could hold content
        log_failure(failure)
        return FAILED


async def _run(settings: AgentSettings) -> int:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return await Agent(settings, stop, environ=os.environ).run()
