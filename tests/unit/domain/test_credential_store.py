"""Credentials of callers: created under a new name each time, and neither read, nor changed, nor deleted."""

import base64

import pytest
from tests.fakes.kubernetes import FakeKubernetes, api_error

from sympozium_api import credentials
from sympozium_api.client import ApiError
from sympozium_api.resources import CONFIG_MAPS, SECRETS
from sympozium_domain.credential_store import CredentialStore


async def test_a_secret_has_the_entries_and_goes_with_its_owner() -> None:
    kubernetes = FakeKubernetes()
    name = await CredentialStore(kubernetes).add("team", {"api-key": b"k\x00"}, for_tools=True)
    secret, owner = kubernetes.object(SECRETS, name, "team"), kubernetes.object(CONFIG_MAPS, name, "team")
    assert {key: base64.b64decode(value) for key, value in secret["data"].items()} == {"api-key": b"k\x00"}
    assert (secret["type"], secret["immutable"]) == ("Opaque", True)
    assert (
        secret["metadata"]["labels"].items()
        >= {
            "sympozium.ai/credentials": "true",
            "sympozium.ai/tool-key": "true",
        }.items()
    )
    assert [reference["uid"] for reference in secret["metadata"]["ownerReferences"]] == [owner["metadata"]["uid"]]
    assert "data" not in owner


async def test_each_has_a_name_of_its_own_and_nothing_is_read() -> None:
    kubernetes = FakeKubernetes()
    store = CredentialStore(kubernetes)
    names = {await store.add("team", {"a": b"b"}) for _ in range(20)}
    assert len(names) == 20
    assert all(credentials.is_name(name) for name in names)
    assert {write[0] for write in kubernetes.writes} == {"create"}
    assert {read[0] for read in kubernetes.reads} <= {"create"}


async def test_without_a_tool_no_tool_may_name_it() -> None:
    kubernetes = FakeKubernetes()
    name = await CredentialStore(kubernetes).add("team", {"a": b"b"})
    assert "sympozium.ai/tool-key" not in kubernetes.object(SECRETS, name, "team")["metadata"]["labels"]


async def test_a_refused_secret_leaves_only_what_the_operator_removes() -> None:
    kubernetes = FakeKubernetes()
    kubernetes.refuse("create", SECRETS, api_error(403, "Forbidden", "exceeded quota"))
    with pytest.raises(ApiError, match="quota"):
        await CredentialStore(kubernetes).add("team", {"a": b"b"})
    [left] = kubernetes.names(CONFIG_MAPS)
    assert credentials.is_name(left)
