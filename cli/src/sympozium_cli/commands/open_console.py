"""``open``: the console in a browser, through a port-forward for as long as the command runs."""

import webbrowser

from sympozium_api.names import HTTP_PORT
from sympozium_api.resources import SERVICES
from sympozium_cli.cluster import Cluster
from sympozium_cli.command_line import say
from sympozium_cli.failures import ClusterAway, Failure
from sympozium_cli.kubectl import kubectl
from sympozium_cli.output import print_line

CONSOLE = "sympozium-console"
"""Name of the console's Service and Deployment."""


async def run(cluster: Cluster, page: str, operator_namespace: str, *, port: int, browser: bool) -> None:
    """Print the console's address, open it, and forward until Ctrl+C. ``port``: on this machine; 0: any free one."""
    if await cluster.client.find(SERVICES, operator_namespace, CONSOLE) is None:
        raise Failure(f"namespace {operator_namespace} has no console; the chart's value console.enabled brings it")
    words = ("port-forward", f"--namespace={operator_namespace}", "--address=127.0.0.1", f"service/{CONSOLE}")
    async with kubectl(*cluster.kubectl_args, *words, f"{port or ''}:{HTTP_PORT}", on_message=say) as forward:
        line = await forward.first_line()  # Forwarding from 127.0.0.1:40123 -> 8080
        address = line.removeprefix("Forwarding from ").split(" ", 1)[0]
        url = f"http://{address}/{page.removeprefix('/')}"
        print_line(url)
        say("Ctrl+C ends it")
        if browser:
            webbrowser.open(url)
        await forward.wait()
        raise ClusterAway(forward.message or "the port-forward ended")
