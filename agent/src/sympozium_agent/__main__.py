"""Entry point of the agent's pod: ``run``, which ``python -I -m sympozium_agent`` calls too."""

import gc
import os
import signal
import sys


def main() -> int:
    """Run one task and return the process's exit code."""
    # PID 1 ignores SIGTERM until a handler is set, and the imports below take some hundredths of a second
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    gc.disable()  # imports make objects, but no garbage
    from sympozium_agent.agent_settings import AgentSettings  # noqa: PLC0415 - see above
    from sympozium_agent.process import process  # noqa: PLC0415 - see above

    gc.enable()
    return process(AgentSettings.of(os.environ))


def run() -> None:
    """Run one task and end the process."""
    code = main()
    sys.stderr.flush()
    os._exit(code)  # an orderly exit of the interpreter takes 20 ms of CPU, and the pod ends with the process anyway


if __name__ == "__main__":
    run()
