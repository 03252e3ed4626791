"""``logs``: what a run's pod wrote."""

from contextlib import aclosing

from sympozium_api import names
from sympozium_api.client import ApiError, Client
from sympozium_api.client.pod_log import log_lines
from sympozium_api.resources import PODS, RUNS, Object
from sympozium_cli.cluster import Cluster
from sympozium_cli.failures import Failure
from sympozium_cli.output import print_line
from sympozium_cli.plain_text import plain


async def run(cluster: Cluster, name: str, *, follow: bool, tail: int | None) -> None:
    """Print the log of a run's pod, of a web endpoint's its first pod. Raises Failure if there is no pod."""
    namespace = cluster.one_namespace
    body = await cluster.client.get(RUNS, namespace, name)
    pod = await _pod_of(cluster.client, namespace, body)
    params = ({"follow": "true"} if follow else {}) | ({} if tail is None else {"tailLines": str(tail)})
    try:
        async with aclosing(log_lines(cluster.client, namespace, pod, params)) as lines:
            async for line in lines:
                print_line(plain(line))
    except ApiError as error:
        raise _explained(error, pod) from error


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
