"""``logs``: what a run's pod wrote."""

import codecs

from sympozium_api import names
from sympozium_api.client import ApiError, Client
from sympozium_api.client.responses import parse_response
from sympozium_api.resources import PODS, RUNS, Object
from sympozium_cli.cluster import Cluster
from sympozium_cli.failures import Failure
from sympozium_cli.output import print_line
from sympozium_cli.plain_text import plain_lines

_SILENCE_SECONDS = 24 * 3600.0
_LINE = 1024 * 1024
"""Characters after which a line that does not end is printed."""


async def run(cluster: Cluster, name: str, *, follow: bool, tail: int | None) -> None:
    """Print the log of a run's pod, of a web endpoint's its first pod. Raises Failure if there is no pod."""
    namespace = cluster.one_namespace
    body = await cluster.client.get(RUNS, namespace, name)
    pod = await _pod_of(cluster.client, namespace, body)
    params = ({"follow": "true"} if follow else {}) | ({} if tail is None else {"tailLines": str(tail)})
    stream = cluster.client.stream(f"{PODS.path(namespace, pod)}/log", params, silence=_SILENCE_SECONDS, accept="*/*")
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    async with stream as response:
        if response.status >= 400:
            try:
                parse_response(response.status, await response.read(), is_read=True)
            except ApiError as error:
                raise _explained(error, pod) from error
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            lines, rest = (lines, rest) if len(rest) < _LINE else ([*lines, rest], "")
            for line in lines:
                print_line(" ".join(plain_lines(line)))
    if rest:
        print_line(" ".join(plain_lines(rest)))


async def _pod_of(client: Client, namespace: str, run: Object) -> str:
    name = run["metadata"]["name"]
    if run["spec"].get("mode") == "server":
        pods = await client.list(PODS, namespace, labelSelector=f"{names.LABEL_RUN}={name}")
        running = [pod["metadata"]["name"] for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
        if not running:
            raise Failure(f"no pod of {name} runs; see: kubectl -n {namespace} get pods -l {names.LABEL_RUN}={name}")
        return str(min(running))
    if pod := (run.get("status") or {}).get("podName"):
        return str(pod)
    raise Failure(f"the run has no pod yet; see: kubectl -n {namespace} describe run {name}")


def _explained(error: ApiError, pod: str) -> Exception:
    if error.not_found:
        return Failure(
            f"the pod {pod} is gone, and its log with it: the operator deletes the pods of ended runs, those of failed ones after"
            " the chart's runs.failedJobRetention"
        )
    return error
