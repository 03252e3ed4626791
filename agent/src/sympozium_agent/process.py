"""From signals and files to a coroutine and an exit code."""

import asyncio
import os
import signal

from sympozium_agent.agent import FAILED, Agent
from sympozium_agent.log import about, failed
from sympozium_agent.settings import AgentSettings


def process(settings: AgentSettings) -> int:
    """Run the agent until it has delivered its end record or SIGTERM came; the exit code."""
    about({"run": settings.run} if settings.run else {"instance": settings.instance})
    try:
        return asyncio.run(_until_signalled(settings))
    except Exception as failure:  # noqa: BLE001 - the last line: a traceback's message could hold content
        failed(failure)
        return FAILED


async def _until_signalled(settings: AgentSettings) -> int:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return await Agent(settings, stop, environ=os.environ).run()
