"""The objects that the property tests feed to our loops are what the API server would store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.kubernetes import KINDS, FakeKubernetes
from tests.strategies import kubernetes_objects as objects
from tests.strategies.examples import FEW

CUSTOM = (objects.instances, objects.runs, objects.skill_packs, objects.configs)


@pytest.mark.parametrize("make", CUSTOM, ids=lambda make: make.__name__)
@given(data=st.data())
@FEW
async def test_custom_resources_are_what_the_crds_accept(make: objects.Make, data: st.DataObject) -> None:
    cluster = FakeKubernetes()
    body = data.draw(make())
    [kind] = [kind for kind in KINDS if kind.kind == body["kind"]]
    status = body.pop("status")
    namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
    await cluster.create(kind, namespace, body, strict=True)
    await cluster.patch(kind, namespace, name, {"status": status}, subresource="status", strict=True)
