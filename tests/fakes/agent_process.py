"""An idle agent in a process of its own: ``python -m tests.fakes.agent_process FOLDER URL``, with the pod's files in the folder."""

import sys
from pathlib import Path

from sympozium_agent.agent_settings import AgentSettings
from sympozium_agent.process import process

if __name__ == "__main__":
    own = Path(sys.argv[1])
    settings = AgentSettings(
        None,
        (sys.argv[2],),
        token_file=own / "token",
        key_files=(own / "api-key",),
        termination_file=own / "termination-log",
        instance="demo",
        idle_ttl=600,
    )
    sys.exit(process(settings))
