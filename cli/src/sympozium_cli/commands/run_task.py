"""``run``: a run of a task, and with ``--wait`` its answer."""

from contextlib import aclosing

from sympozium_api.resources import INSTANCES, RUNS, Object
from sympozium_cli.cluster import Cluster
from sympozium_cli.command_line import say
from sympozium_cli.failures import Failure
from sympozium_cli.instance_states import phase_of
from sympozium_cli.new_runs import run_of_task
from sympozium_cli.output import Format, print_line, print_object, resource_name
from sympozium_cli.plain_text import plain_lines
from sympozium_cli.run_following import answer_of, error_of, states, waiting_for


async def run(cluster: Cluster, instance: str, task: str, form: Format, *, wait: bool) -> None:
    """Create a run. Print it or, after its end, its answer. Raises Failure if the run does not succeed."""
    namespace = cluster.one_namespace
    if not task.strip():
        raise Failure("there is no task")
    await cluster.client.get(INSTANCES, namespace, instance)  # a run of nobody would fail seconds later
    created = await cluster.client.create(RUNS, namespace, run_of_task(namespace, instance, task), strict=True)
    if not wait:
        print_object(RUNS, created, form, "created")
        return
    say(f"{resource_name(RUNS, created)} created; Ctrl+C leaves it running")
    ended = await _ended(cluster, created)
    if not form.is_table:
        print_object(RUNS, ended, form)
    if phase_of(ended) != "Succeeded":
        raise Failure(f"the run {ended['metadata']['name']} did not succeed: {error_of(ended)}")
    if form.is_table:
        print_line("\n".join(plain_lines(await answer_of(cluster.client, ended))))


async def _ended(cluster: Cluster, run: Object) -> Object:
    said, namespace = "", cluster.one_namespace
    async with aclosing(states(cluster.client, namespace, run["metadata"]["name"])) as changes:
        async for run in changes:  # noqa: PLR1704 - its newest state
            if (reason := waiting_for(run)) and reason != said and not phase_of(run).endswith("ed"):
                said = reason
                say(reason)
    return run
