"""Ids of objects: a label that a restore keeps, else the UID."""

import uuid

import pytest
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api.names import LABEL_ID
from sympozium_api.resources import INSTANCES, Object
from sympozium_domain.object_ids import find, object_id

OWN = str(uuid.UUID(int=7))


def stored(kubernetes: FakeKubernetes, name: str, namespace: str = "default", **metadata: object) -> Object:
    return kubernetes.put(
        {
            "apiVersion": "sympozium.ai/v1alpha1",
            "kind": "SympoziumInstance",
            "metadata": {"name": name, "namespace": namespace, "uid": str(uuid.uuid4())} | metadata,
            "spec": {"agents": {"default": {"model": "m"}}},
        }
    )


def test_the_label_counts_if_it_is_a_uuid_and_else_the_uid() -> None:
    for label, expected in ((OWN, OWN), ("chosen", "u"), (OWN.upper().replace("0", "A"), "u")):
        assert object_id({"metadata": {"uid": "u", "labels": {LABEL_ID: label}}}) == expected
    assert object_id({"metadata": {"uid": "u"}}) == "u"


async def test_an_object_is_found_by_its_label_in_its_namespace_only() -> None:
    kubernetes = FakeKubernetes()
    stored(kubernetes, "a", labels={LABEL_ID: OWN})
    found = await find(kubernetes, INSTANCES, "default", OWN)
    assert found is not None
    assert found["metadata"]["name"] == "a"
    assert await find(kubernetes, INSTANCES, "another", OWN) is None


async def test_an_object_without_a_label_is_found_by_its_uid_and_one_with_a_label_is_not() -> None:
    kubernetes = FakeKubernetes()
    plain, labelled = stored(kubernetes, "a"), stored(kubernetes, "b", labels={LABEL_ID: OWN})
    found = await find(kubernetes, INSTANCES, "default", plain["metadata"]["uid"])
    assert found is not None
    assert found["metadata"]["name"] == "a"
    assert await find(kubernetes, INSTANCES, "default", labelled["metadata"]["uid"]) is None


async def test_of_two_with_one_label_the_older_counts() -> None:
    kubernetes = FakeKubernetes()
    stored(kubernetes, "copy", labels={LABEL_ID: OWN}, creationTimestamp="2026-01-02T00:00:00Z")
    stored(kubernetes, "first", labels={LABEL_ID: OWN}, creationTimestamp="2026-01-01T00:00:00Z")
    found = await find(kubernetes, INSTANCES, "default", OWN)
    assert found is not None
    assert found["metadata"]["name"] == "first"


@pytest.mark.parametrize("wanted", ["", "a", "../x", "a=b,c", OWN.upper() + "z"])
async def test_what_is_no_uuid_is_looked_for_nowhere(wanted: str) -> None:
    kubernetes = FakeKubernetes()
    assert await find(kubernetes, INSTANCES, "default", wanted) is None
    assert kubernetes.reads == []
