"""Entry point of the agent's pod: ``python -I -m sympozium_agent``."""

import os
import signal
import sys


def main() -> int:
    """Run one task and return the process's exit code."""
    # PID 1 ignores SIGTERM until a handler is set, and the imports below take a tenth of a second
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    from sympozium_agent.agent_settings import AgentSettings  # noqa: PLC0415 - see above
    from sympozium_agent.process import process  # noqa: PLC0415 - see above

    return process(AgentSettings.of(os.environ))


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # an orderly exit of the interpreter takes 20 ms of CPU, and the pod ends with the process anyway
