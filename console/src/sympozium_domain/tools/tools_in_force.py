"""The wait until changed tools and bindings count: until the operator has written what the agents' next runs are offered."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from sympozium_api import agent_document, names, tool_offer
from sympozium_api.agent_document import OfferedTool
from sympozium_api.base import Resource
from sympozium_api.client import Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import CONFIG_MAPS, INSTANCES, TOOL_BINDINGS, TOOLS, Object
from sympozium_api.tool import Tool
from sympozium_api.tool_binding import GATHERING, IN_FORCE, ToolBinding

SETTLE_SECONDS = 5.0
"""Seconds for which a change waits until the next run gets it."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.2


@dataclass(frozen=True)
class ToolsInForce:
    """Reader of what the operator has made of Tools and ToolBindings. Its methods raise ApiError and ApiUnavailable."""

    client: Client
    seconds: float = SETTLE_SECONDS

    async def settle_tool(self, namespace: str, name: str) -> None:
        """Wait until a Tool counts as it is: a binding grants it from now on, or its condition says why none can."""

        async def is_settled() -> bool:
            body = await self.client.find(TOOLS, namespace, name)
            return body is None or _verdict(Tool, body) is not None

        await self._until(is_settled)

    async def obstacle(self, namespace: str, binding: str) -> str | None:
        """Return the reason why no agent is offered the tool of a ToolBinding; None: one is, or the operator has not said so yet."""
        body = await self.client.find(TOOL_BINDINGS, namespace, binding)
        for condition in (body or {}).get("status", {}).get("conditions", []):
            if condition["type"] == IN_FORCE and condition["status"] == "False":
                return str(condition.get("message") or condition["reason"])
        return None

    async def settle_agents(self, namespace: str, agents: Iterable[str]) -> None:
        """Wait until the next runs of agents are offered what their ToolBindings grant, and nothing else."""
        open_agents = dict.fromkeys(agents)

        async def are_settled() -> bool:
            for agent in list(open_agents):
                if not await self._is_offered_its_own(namespace, agent):
                    return False
                del open_agents[agent]
            return True

        await self._until(are_settled)

    async def _until(self, is_settled: Callable[[], Awaitable[bool]]) -> None:
        pause = _FIRST_PAUSE
        try:
            async with asyncio.timeout(self.seconds):
                while not await is_settled():
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
        except TimeoutError:
            return

    async def _is_offered_its_own(self, namespace: str, agent: str) -> bool:
        body = await self.client.find(INSTANCES, namespace, agent)
        try:
            instance = None if body is None else read(SympoziumInstance, body)
        except Unreadable:
            instance = None
        if instance is None:
            return True
        wanted: list[OfferedTool] = []
        for body in await self.client.list(TOOL_BINDINGS, namespace, fieldSelector=f"spec.agentRef={agent}"):
            verdict = _verdict(ToolBinding, body)
            if verdict is None:
                return False
            if verdict:
                offer = await self._offer(namespace, read(ToolBinding, body))
                if offer is None:
                    return False
                wanted.append(offer)
        return _is_document_of(await self._document(instance), wanted, instance.spec.agents.default.builtin_tools)

    async def _offer(self, namespace: str, binding: ToolBinding) -> OfferedTool | None:
        """Return what the agent has to be offered for a binding that holds; None: its Tool is gone, or has changed since."""
        body = await self.client.find(TOOLS, namespace, binding.spec.tool_ref)
        if body is None or not _verdict(Tool, body):
            return None
        return tool_offer.offered(binding, read(Tool, body), binding.status.function or "", "")

    async def _document(self, instance: SympoziumInstance) -> list[OfferedTool]:
        """Return the tools that the instance's next run is offered."""
        if instance.status.agent_document is None:
            return []
        namespace, name = instance.key
        body = await self.client.find(CONFIG_MAPS, namespace, names.installed_skills(name))
        document = agent_document.of_config_map(body)
        return list(document.tools) if document else []


def _verdict(model: type[Tool | ToolBinding], body: Object) -> bool | None:
    """Return True if an object is in force as it is, False if it is not; None: the operator has not said so yet."""
    generation = body["metadata"].get("generation", 0)
    for condition in body.get("status", {}).get("conditions", []):
        if condition["type"] == IN_FORCE and condition.get("observedGeneration", 0) >= generation:
            if condition["status"] == "True":
                return _is_readable(model, body)
            return None if condition["reason"] == GATHERING else False
    return None


def _is_readable(model: type[Resource], body: Object) -> bool:
    try:
        read(model, body)
    except Unreadable:
        return False
    return True


def _is_document_of(document: list[OfferedTool], wanted: list[OfferedTool], builtin: Iterable[str]) -> bool:
    offered = {tool.function: tool.model_copy(update={"base_url": ""}) for tool in document}
    own = {tool.function: tool for tool in wanted}
    return all(offered.get(function) == tool for function, tool in own.items()) and not (
        offered.keys() - own.keys() - set(builtin)
    )
