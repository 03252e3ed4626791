"""Bindings where their objects meet those of others."""

from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.integration.conftest import instance
from tests.unit.api.tools import binding_manifest, tool_manifest

from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import TOOL_BINDINGS
from sympozium_domain.idempotent_creation import Creation
from sympozium_domain.tools.bindings import Bindings, Grantee
from sympozium_domain.tools.tool_record import ToolRecord
from sympozium_domain.tools.tools_in_force import ToolsInForce

GRANT = {
    "permission_scope": "read",
    "timeout_ms": 5000,
    "rate_limit": None,
    "allowed_domains": ["weather.example.com"],
    "secrets_ref": None,
}


async def test_a_replaced_binding_does_not_go_with_a_former_agent_of_the_same_name() -> None:
    """Kubernetes collects what a former agent owned some time after the agent."""
    kubernetes = FakeKubernetes()
    agent = SympoziumInstance.model_validate(kubernetes.put(instance()))
    tool = ToolRecord.of(kubernetes.put(tool_manifest("weather")))
    former = binding_manifest("former", agentRef=agent.metadata.name, toolRef="weather")
    owner = {"apiVersion": agent.api_version, "kind": agent.kind, "name": agent.metadata.name, "uid": "of-the-former"}
    former["metadata"]["ownerReferences"] = [owner]
    kubernetes.put(former)
    assert tool is not None
    bindings = Bindings(kubernetes, FakeClock(), ToolsInForce(kubernetes, seconds=0))
    creation = Creation.of(tenant="t", caller="k", route="r", idempotency_key=None, body={})
    await bindings.bind(creation, Grantee(agent.metadata.uid, agent), tool, GRANT, "ada")
    [stored] = [kubernetes.object(TOOL_BINDINGS, name) for name in kubernetes.names(TOOL_BINDINGS)]
    assert [owner["uid"] for owner in stored["metadata"]["ownerReferences"]] == [agent.metadata.uid]
