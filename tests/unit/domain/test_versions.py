"""Published versions of agents: read once, and the same whatever becomes of the instance."""

from dataclasses import replace
from typing import Any

from tests.fakes.kubernetes import FakeKubernetes, api_error

from sympozium_api import names
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import CONTROLLER_REVISIONS, INSTANCES
from sympozium_domain.agents.versions import AgentVersion, Versions, published_number

NAME = "agent-1"


def put(kubernetes: FakeKubernetes, **annotations: str) -> SympoziumInstance:
    default = {"model": "m1", "providerRef": "openai", "params": {"temperature": 0.5}}
    spec: dict[str, Any] = {"title": "Ada", "agents": {"default": default}, "memory": {"systemPrompt": "Be brief."}}
    metadata = {"name": NAME, "annotations": annotations}
    body = {"apiVersion": names.API_VERSION, "kind": "SympoziumInstance", "metadata": metadata, "spec": spec}
    return SympoziumInstance.model_validate(kubernetes.put(body))


def published(kubernetes: FakeKubernetes, number: int) -> tuple[SympoziumInstance, AgentVersion]:
    version = AgentVersion.of_spec(put(kubernetes), number)
    annotations = {
        names.ANNOTATION_PUBLISHED_VERSION: f"{NAME}-v{number}",
        names.ANNOTATION_PUBLISHED_DIGEST: version.digest,
    }
    return put(kubernetes, **annotations), version


def edited(kubernetes: FakeKubernetes) -> SympoziumInstance:
    spec = {"title": "Eve"}
    return SympoziumInstance.model_validate(
        kubernetes.put({"kind": "SympoziumInstance", "metadata": {"name": NAME}, "spec": spec})
    )


async def test_a_version_is_read_once_and_outlives_edits() -> None:
    kubernetes = FakeKubernetes()
    instance, version = published(kubernetes, 2)
    kubernetes.put(version.revision(instance))
    versions = Versions(kubernetes)
    assert await versions.published(instance) == version
    kubernetes.reads.clear()
    assert await versions.published(edited(kubernetes)) == version
    assert kubernetes.reads == []
    assert await Versions(kubernetes).published(edited(kubernetes)) == version


async def test_what_was_never_published_has_no_version() -> None:
    kubernetes = FakeKubernetes()
    assert await Versions(kubernetes).published(put(kubernetes)) is None
    assert kubernetes.reads == []


async def test_a_missing_revision_is_made_again_from_what_was_not_edited() -> None:
    kubernetes = FakeKubernetes()
    instance, version = published(kubernetes, 3)
    assert await Versions(kubernetes).published(instance) == version
    revision = kubernetes.object(CONTROLLER_REVISIONS, f"{NAME}-v3")
    assert (revision["revision"], revision["data"]["prompt"]) == (3, "Be brief.")
    owner = kubernetes.object(INSTANCES, NAME)["metadata"]["uid"]
    assert [reference["uid"] for reference in revision["metadata"]["ownerReferences"]] == [owner]


async def test_a_missing_revision_of_an_edited_agent_is_not_invented() -> None:
    kubernetes = FakeKubernetes()
    published(kubernetes, 3)
    assert await Versions(kubernetes).published(edited(kubernetes)) is None
    assert kubernetes.names(CONTROLLER_REVISIONS) == []


async def test_a_faster_request_makes_the_missing_revision() -> None:
    kubernetes = FakeKubernetes()
    instance, version = published(kubernetes, 3)
    kubernetes.meanwhile("create", CONTROLLER_REVISIONS, lambda: kubernetes.put(version.revision(instance)))
    kubernetes.refuse("create", CONTROLLER_REVISIONS, api_error(409, "AlreadyExists"))
    assert await Versions(kubernetes).published(instance) == version


async def test_a_foreign_object_under_the_name_is_no_version() -> None:
    kubernetes = FakeKubernetes()
    instance, version = published(kubernetes, 3)
    kubernetes.put(version.revision(instance) | {"data": {"spec": {}}})
    assert await Versions(kubernetes).published(instance) == version  # nothing was edited since
    assert await Versions(kubernetes).published(edited(kubernetes)) is None


async def test_a_revision_of_a_former_instance_is_no_version_of_this_one() -> None:
    """Kubernetes collects it a while after its instance, whose name another one may have by then."""
    kubernetes = FakeKubernetes()
    instance, version = published(kubernetes, 1)
    former = replace(version, prompt="Be rude.").revision(instance)
    [owner] = former["metadata"]["ownerReferences"]
    owner["uid"] = "of-the-former"
    kubernetes.put(former)
    versions = Versions(kubernetes)
    assert await versions.published(instance) == version
    await kubernetes.delete(CONTROLLER_REVISIONS, "default", f"{NAME}-v1")
    assert await versions.published(instance) == version
    assert kubernetes.object(CONTROLLER_REVISIONS, f"{NAME}-v1")["data"]["prompt"] == "Be brief."


async def test_a_restored_revision_counts_if_it_has_what_was_published() -> None:
    kubernetes = FakeKubernetes()
    instance, version = published(kubernetes, 2)
    restored = version.revision(instance)
    restored["metadata"]["ownerReferences"][0]["uid"] = "before-the-restore"
    kubernetes.put(restored)
    assert await Versions(kubernetes).published(edited(kubernetes)) == version


def test_only_an_annotation_of_the_instance_itself_counts() -> None:
    for text, number in (
        ("a-v7", 7),
        ("b-v7", None),
        ("a-v", None),
        ("a-v0", None),
        ("a-v-1", None),
        ("a-v٣", None),
        ("", None),
        ("a-v1234567890", None),
    ):
        assert published_number("a", {names.ANNOTATION_PUBLISHED_VERSION: text}) == number
