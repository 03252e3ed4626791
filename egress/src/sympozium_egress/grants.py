"""Grants: what the cluster's objects allow an agent at this moment, read again for each call."""

import asyncio

from sympozium_api import effective, names, policy_binding, policy_check
from sympozium_api.client import Client
from sympozium_api.effective_policy import EffectivePolicy
from sympozium_api.instance import SympoziumInstance
from sympozium_api.policy_reader import PolicyReader
from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import INSTANCES, TOOL_BINDINGS, TOOLS
from sympozium_api.run import AgentRun
from sympozium_api.tool import Tool
from sympozium_api.tool_binding import ToolBinding
from sympozium_api.tool_function import BUILTIN_TOOLS
from sympozium_api.tool_schema import builtin_parameters, parameters_text
from sympozium_egress.policy.call_policy import CallRefused, Grant, in_force, permit


class NoSuchTool(Exception):
    """A function that the agent does not have."""


class Grants:
    """Reader of grants. Every method may raise ApiError and ApiUnavailable."""

    def __init__(self, client: Client, policies: PolicyReader) -> None:
        self._client = client
        self._policies = policies

    async def bindings(self, namespace: str, agent: str) -> list[ToolBinding]:
        """Return the ToolBindings of an agent that can be read."""
        bodies = await self._client.list(TOOL_BINDINGS, namespace, fieldSelector=f"spec.agentRef={agent}")
        found = []
        for body in bodies:
            try:
                binding = read(ToolBinding, body)
            except Unreadable:
                continue  # the operator reports it
            if binding.metadata.deletion_timestamp is None:
                found.append(binding)
        return found

    async def find(self, run: AgentRun, function: str) -> Grant:
        """Return what allows the run's agent to call a function. Raises NoSuchTool, and CallRefused if it is not in force."""
        namespace, agent = run.metadata.namespace, run.spec.agent_ref
        bindings, instance, sources = await asyncio.gather(
            self.bindings(namespace, agent), self._instance(namespace, agent), self._policies.of(namespace)
        )
        policy = policy_binding.effective(instance, sources)
        bound = [binding for binding in bindings if binding.status.function == function]
        if not bound:
            return _builtin(instance, function, policy)
        binding = next((binding for binding in bound if binding.status.is_granted), bound[0])
        body = await self._client.find(TOOLS, namespace, binding.spec.tool_ref)
        if body is None or body["metadata"].get("deletionTimestamp"):
            raise NoSuchTool(function)
        try:
            tool = read(Tool, body)
        except Unreadable:
            raise CallRefused("the tool cannot be read") from None
        permit(policy, policy_check.of_tool(policy, tool, function))
        in_force(binding, tool, function)
        builtin = tool.spec.builtin.name if tool.spec.builtin else None
        skills = tuple(effective.skill_refs(instance).values())
        return Grant(function, tool, binding, builtin, parameters_text(tool.spec), policy, skills)

    async def _instance(self, namespace: str, agent: str) -> SympoziumInstance:
        body = await self._client.find(INSTANCES, namespace, agent)
        if body is None:
            raise CallRefused("the agent's instance is gone")
        try:
            return read(SympoziumInstance, body)
        except Unreadable:
            raise CallRefused("the agent's instance cannot be read") from None


def _builtin(instance: SympoziumInstance, function: str, policy: EffectivePolicy | None) -> Grant:
    if function not in BUILTIN_TOOLS or function not in instance.spec.agents.default.builtin_tools:
        raise NoSuchTool(function)
    permit(policy, policy_check.of_builtin(policy, function))
    return Grant(function, builtin=function, parameters=builtin_parameters(function), policy=policy)


def agent_account(run: AgentRun) -> str:
    """Return the name of the service account with which the run's pod must come."""
    return names.agent_service_account(run.spec.agent_ref)
