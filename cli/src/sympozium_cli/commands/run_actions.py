"""``cancel`` and ``repeat``."""

from sympozium_api.resources import RUNS
from sympozium_cli import run_following
from sympozium_cli.cluster import Cluster
from sympozium_cli.failures import Failure
from sympozium_cli.new_runs import repeated
from sympozium_cli.output import Format, print_object


async def cancel(cluster: Cluster, name: str, form: Format) -> None:
    """End a run."""
    print_object(RUNS, await run_following.cancel(cluster.client, cluster.one_namespace, name), form, "cancelled")


async def repeat(cluster: Cluster, name: str, form: Format) -> None:
    """Create a run with the question of another one."""
    try:
        body = repeated(await cluster.client.get(RUNS, cluster.one_namespace, name))
    except ValueError as error:
        raise Failure(f"{name} cannot be repeated: {error}") from error
    print_object(RUNS, await cluster.client.create(RUNS, cluster.one_namespace, body, strict=True), form, "created")
