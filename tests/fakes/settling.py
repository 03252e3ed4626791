"""An operator that has carried out every instance as soon as it changes, in front of an in-memory API server."""

from contextlib import aclosing

from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api.client import Snapshot, watch
from sympozium_api.resources import INSTANCES, Object


async def settle_instances(kubernetes: FakeKubernetes) -> None:
    """Report each generation of each instance, without end."""
    async with aclosing(watch(kubernetes, INSTANCES, None)) as changes:
        async for change in changes:
            for body in change.items if isinstance(change, Snapshot) else () if change.deleted else (change.object,):
                await _report(kubernetes, body)


async def _report(kubernetes: FakeKubernetes, body: Object) -> None:
    metadata = body["metadata"]
    if body.get("status", {}).get("observedGeneration") != metadata["generation"]:
        status = {"status": {"observedGeneration": metadata["generation"]}}
        await kubernetes.patch(INSTANCES, metadata["namespace"], metadata["name"], status, subresource="status")
