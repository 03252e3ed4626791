"""Owner references that the operator writes need no right on their owner's finalizers (OwnerReferencesPermissionEnforcement)."""

import yaml
from tests.unit.operator.golden import GOLDEN
from tests.unit.operator.objects import NAMESPACE, pack_object, secret_object
from tests.unit.operator.operator_leader import Leader
from tests.unit.operator.test_idle_instance import endpoint_objects


async def test_nothing_that_the_operator_makes_blocks_the_deletion_of_its_owner() -> None:
    leader = Leader(pack_object(), secret_object("model-alice", "OPENAI_API_KEY"), *endpoint_objects("alice"))
    with leader.leading():
        await leader.time.run(20)
    owned = [body for body in leader.cluster.objects.values() if body["metadata"].get("ownerReferences")]
    assert len({body["kind"] for body in owned}) >= 8
    assert {body["metadata"]["namespace"] for body in owned} == {NAMESPACE}
    for body in owned:
        assert [owner.get("blockOwnerDeletion", False) for owner in body["metadata"]["ownerReferences"]] == [False]


def test_no_builder_makes_an_object_that_does() -> None:
    for file in (GOLDEN / "operator").glob("*.yaml"):
        for body in yaml.safe_load_all(file.read_text()):
            owners = body["metadata"].get("ownerReferences") or []
            assert not any(owner.get("blockOwnerDeletion") for owner in owners), file.name
