"""Plan of a namespace's Tools and ToolBindings: what holds, what is deleted, and which Secrets the egress guard may read."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from sympozium_api import names, tool_check, tool_function
from sympozium_api.agent_document import MAX_DOCUMENT_BYTES, tools_digest
from sympozium_api.effective_policy import EffectivePolicy
from sympozium_api.instance import SympoziumInstance
from sympozium_api.provider import Provider
from sympozium_api.tool import Tool
from sympozium_api.tool_binding import GATHERING, IN_FORCE, ToolBinding
from sympozium_api.tool_check import Flaw
from sympozium_operator.policy import agent_tools
from sympozium_operator.policy.agent_tools import Granted
from sympozium_operator.policy.conditions import ConditionUpdate, find


@dataclass(frozen=True)
class ToolInput:
    """All that the plan may look at: the readable objects of one namespace."""

    tools: Sequence[Tool]
    bindings: Sequence[ToolBinding]
    agents: Mapping[str, SympoziumInstance]
    """Instances that ToolBindings name, by name."""
    guard_url: str
    """Base URL of the egress guard; empty: the installation has none."""
    unreadable: AbstractSet[str] = frozenset()
    """Names of Tools that are there, and that this version cannot read."""
    providers: Sequence[Provider] = ()
    policies: Mapping[str, EffectivePolicy | None] = field(default_factory=dict)
    """Policy that binds each agent, by the instance's name; None: none does."""


@dataclass(frozen=True)
class Verdict:
    """State of a Tool or ToolBinding."""

    function: str | None
    condition: ConditionUpdate


@dataclass(frozen=True)
class ToolPlan:
    """Changes to make in a namespace."""

    tools: Mapping[str, Verdict]
    """State of each Tool, by name."""
    bindings: Mapping[str, Verdict]
    """State of each ToolBinding that stays, by name."""
    deleted: Sequence[ToolBinding]
    """ToolBindings whose Tool is gone."""
    secrets: Sequence[str]
    """Secrets that the egress guard may read, in order."""
    stale: AbstractSet[str]
    """Agents whose document is not what their instance's status shows, by the instance's name."""


def decide(facts: ToolInput) -> ToolPlan:
    """Return the plan for a namespace."""
    functions = tool_function.assign(facts.tools)
    tools = {tool.metadata.name: tool for tool in facts.tools}
    verdicts = {name: _of_tool(tool, functions[name]) for name, tool in tools.items()}
    deleted = [binding for binding in facts.bindings if _is_orphan(binding, tools.keys() | facts.unreadable)]
    offers = _Offers(facts)
    flaws: dict[str, Flaw | None] = {}
    kept = [binding for binding in _oldest_first(facts.bindings) if binding not in deleted]
    for binding in kept:
        tool = tools.get(binding.spec.tool_ref)
        function = functions.get(binding.spec.tool_ref)
        flaw = _flaw_of_binding(facts, binding, tool, verdicts)
        if flaw is None and tool is not None and function is not None:
            flaw = offers.add(Granted(binding, tool, function))
        flaws[binding.metadata.name] = flaw
    stale = frozenset(
        name
        for name, agent in facts.agents.items()
        if tools_digest(offers.digest(name, agent)) != tools_digest(agent.status.agent_document)
    )
    bindings = {
        binding.metadata.name: _of_binding(
            binding, flaws[binding.metadata.name], functions.get(binding.spec.tool_ref), stale
        )
        for binding in kept
    }
    return ToolPlan(verdicts, bindings, deleted, _secrets(facts, deleted), stale)


def _of_tool(tool: Tool, function: str | None) -> Verdict:
    flaw = tool_check.of_tool(tool)
    if flaw is None and function is None:
        flaw = Flaw("FunctionTaken", "spec.function: another Tool, or a built-in one, has this name")
    return Verdict(function, _condition(flaw, f"a ToolBinding can grant it; models call {function}"))


def _of_binding(binding: ToolBinding, flaw: Flaw | None, function: str | None, stale: AbstractSet[str]) -> Verdict:
    """Return the state of a ToolBinding. One that holds stays so while the agent's document is written anew."""
    agent = binding.spec.agent_ref
    before = find(binding.status.conditions, IN_FORCE)
    if flaw is None and agent in stale and not (before and before.status == "True"):
        flaw = Flaw(
            GATHERING, f"the agent {agent} is offered {function} as soon as its SympoziumInstance is reconciled"
        )
    return Verdict(function, _condition(flaw, f"the agent {agent} may call {function}"))


def _flaw_of_binding(
    facts: ToolInput, binding: ToolBinding, tool: Tool | None, verdicts: Mapping[str, Verdict]
) -> Flaw | None:
    if not facts.guard_url:
        return Flaw("GuardOff", agent_tools.GUARD_OFF_TEXT)
    if binding.spec.tool_ref in facts.unreadable:
        return Flaw("ToolNotInForce", f"spec.toolRef: the Tool {binding.spec.tool_ref} cannot be read")
    if tool is None:
        return Flaw("ToolNotFound", f"spec.toolRef: there is no Tool {binding.spec.tool_ref}")
    if binding.spec.agent_ref not in facts.agents:
        return Flaw("AgentNotFound", f"spec.agentRef: there is no SympoziumInstance {binding.spec.agent_ref}")
    verdict = verdicts[binding.spec.tool_ref].condition
    if not verdict.ok:
        return Flaw(
            "ToolNotInForce", f"spec.toolRef: the Tool {binding.spec.tool_ref} is not in force: {verdict.message}"
        )
    return tool_check.of_binding(binding, tool)


class _Offers:
    """Collector of what each agent is offered, the oldest ToolBinding first."""

    def __init__(self, facts: ToolInput) -> None:
        self._guard_url = facts.guard_url
        self._policies = facts.policies
        self._bytes: dict[str, int] = {}
        self._granted: dict[str, list[Granted]] = {}

    def digest(self, name: str, agent: SympoziumInstance) -> str | None:
        """Return the digest of an agent's document; None: it has no tools."""
        made = agent_tools.document(agent, self._granted.get(name, ()), self._guard_url, self._policies.get(name))
        return agent_tools.digest(made)

    def add(self, new: Granted) -> Flaw | None:
        """Add what a binding grants; return the reason why it cannot hold beside the older ones of its agent."""
        agent = new.binding.spec.agent_ref
        if denial := agent_tools.denial(new, self._policies.get(agent)):
            return Flaw("PolicyDenied", f"spec.toolRef: {denial}")
        others = self._granted.setdefault(agent, [])
        twin = next((each.binding for each in others if each.tool is new.tool), None)
        if twin is not None:
            text = f"spec.toolRef: the ToolBinding {twin.metadata.name} grants this Tool to the agent already"
            return Flaw("AlreadyBound", text)
        size = self._bytes.get(agent, agent_tools.OTHER_BYTES) + agent_tools.size(new, self._guard_url)
        if size > MAX_DOCUMENT_BYTES:
            text = f"spec.agentRef: all tools of {agent} together have more than {MAX_DOCUMENT_BYTES} bytes"
            return Flaw("TooLarge", text)
        self._bytes[agent] = size
        others.append(new)
        return None


def _condition(flaw: Flaw | None, message: str) -> ConditionUpdate:
    if flaw is not None:
        return ConditionUpdate(IN_FORCE, ok=False, reason=flaw.reason, message=flaw.message)
    return ConditionUpdate(IN_FORCE, ok=True, reason="InForce", message=message)


def _is_orphan(binding: ToolBinding, tools: AbstractSet[str]) -> bool:
    """Return true if a binding's Tool is gone. Before its Tool was ever there, a binding waits for it."""
    return binding.spec.tool_ref not in tools and binding.status.function is not None


def _oldest_first(bindings: Sequence[ToolBinding]) -> list[ToolBinding]:
    return sorted(bindings, key=lambda each: (each.metadata.creation_timestamp, each.metadata.name))


def _secrets(facts: ToolInput, deleted: Sequence[ToolBinding]) -> list[str]:
    """Return the Secrets that Tools and Providers name, and the namespace's own if a ToolBinding names an entry of it."""
    if not facts.guard_url:
        return []
    named = {tool.spec.webhook.secret_ref for tool in facts.tools if tool.spec.webhook}
    named |= {name for each in facts.providers for name in (each.spec.secret_ref, each.spec.headers_secret_ref)}
    if any(binding.spec.secret_key for binding in facts.bindings if binding not in deleted):
        named.add(names.TOOL_SECRETS)
    return sorted(name for name in named if name)
