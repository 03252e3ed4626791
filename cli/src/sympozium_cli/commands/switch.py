"""``enable`` and ``disable``."""

from collections.abc import Mapping
from typing import Any

from sympozium_api.client import Change, watch
from sympozium_api.resources import INSTANCES, Object
from sympozium_cli.cluster import Cluster
from sympozium_cli.command_line import say
from sympozium_cli.failures import Failure
from sympozium_cli.instance_states import is_observed, is_stalled, phase_of, problem_of
from sympozium_cli.output import Format, print_object
from sympozium_cli.switching import switch

_WAIT_SECONDS = 180.0


async def run(
    cluster: Cluster, name: str, form: Format, *, enabled: bool, values: Mapping[str, Any] | None = None, wait: bool
) -> None:
    """Switch a web endpoint, and print what was done."""
    instance, is_changed = await switch(cluster.client, cluster.one_namespace, name, enabled=enabled, values=values)
    if wait:
        instance = await _settled(cluster, instance, "Serving" if enabled else "Running")
    done = "enabled" if enabled else "disabled"
    print_object(INSTANCES, instance, form, done if is_changed else f"{done} already")
    if enabled and not wait and form.is_table and phase_of(instance) != "Serving":
        say(f"it serves in some seconds; ask it: kubectl sympozium chat {name} 'hello'")


async def _settled(cluster: Cluster, instance: Object, phase: str) -> Object:
    import asyncio
    from contextlib import aclosing

    name = instance["metadata"]["name"]
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            changes = watch(cluster.client, INSTANCES, cluster.one_namespace, fieldSelector=f"metadata.name={name}")
            async with aclosing(changes):
                async for change in changes:
                    if change.deleted if isinstance(change, Change) else not change.items:
                        raise Failure(f"the instance {name} was deleted")
                    instance = change.object if isinstance(change, Change) else change.items[0]
                    if is_observed(instance) and phase_of(instance) == phase:
                        return instance
                    if is_observed(instance) and is_stalled(instance):
                        raise Failure(problem_of(instance))
    except TimeoutError:
        raise Failure(f"not {phase} after {_WAIT_SECONDS:.0f} s; {problem_of(instance)}") from None
    raise AssertionError
