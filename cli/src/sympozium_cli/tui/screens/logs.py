"""The log of a run's pod."""

from contextlib import aclosing

from sympozium_api.client import ApiError
from sympozium_api.client.pod_log import log_lines
from sympozium_cli.failures import Failure
from sympozium_cli.tui import keys
from sympozium_cli.tui.screens.text_screen import TextScreen
from sympozium_cli.tui.views.lines import Line, foreign

_PARAMS = {"container": "agent", "tailLines": "2000", "follow": "true"}


class LogScreen(TextScreen):
    """An agent's log, which follows the pod."""

    KEYS = keys.TEXT

    def __init__(self, namespace: str, pod: str, *, kubectl_line: str) -> None:
        super().__init__(f"Log of {namespace}/{pod}", kubectl_line=kubectl_line)
        self._namespace = namespace
        self._pod = pod
        self.pane.follows = True

    async def load(self) -> None:
        """Read the log until the pod ends."""
        try:
            async with aclosing(log_lines(self.world.client, self._namespace, self._pod, _PARAMS)) as lines:
                async for line in lines:
                    self.pane.append(foreign(line))
        except ApiError as error:
            if not error.not_found:
                raise
            why = "the pod is gone, and its log with it; the chart's runs.failedJobRetention keeps those of failed runs longer"
            raise Failure(why) from None
        self.pane.append([Line("(end of the log)", "dim")])
