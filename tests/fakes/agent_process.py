"""An idle agent in a process of its own: ``python -m tests.fakes.agent_process FOLDER URL``, with the pod's files in the folder."""

import sys
from pathlib import Path

from sympozium_agent.agent_settings import AgentSettings
from sympozium_agent.process import process

if __name__ == "__main__":
    own = Path(sys.argv[1])
    files = (own / "token", (own / "api-key",), own / "termination-log")
    sys.exit(process(AgentSettings(None, (sys.argv[2],), *files, instance="demo", idle_ttl=600)))
