"""The lines of kubectl that do the same as the buttons of a run's page. Pure."""

import shlex

COMMANDS = {
    "cancel": 'kubectl -n {namespace} patch agentrun {name} --type merge -p \'{{"spec":{{"cancel":true}}}}\'',
    "delete": "kubectl -n {namespace} delete agentrun {name}",
    "repeat": "kubectl sympozium -n {namespace} repeat {name}",
    "log": "kubectl -n {namespace} logs {pod} -c agent",
    "yaml": "kubectl -n {namespace} get agentrun {name} -o yaml",
    "events": "kubectl -n {namespace} events --for agentrun/{name}",
}
"""Lines by action, with the names that they take."""


def command(action: str, *, namespace: str, name: str, pod: str = "") -> str:
    """Return the line of an action. Anybody may have written the name of the pod."""
    return COMMANDS[action].format(namespace=namespace, name=name, pod=shlex.quote(pod))
