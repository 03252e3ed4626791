"""Checks of a call that need no network, in their order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sympozium_api import effective_policy, tool_check
from sympozium_api.effective_policy import Denial, EffectivePolicy
from sympozium_api.instance import SkillRef
from sympozium_api.names import TOOLS_WRITE
from sympozium_api.run import AgentRun
from sympozium_api.tool import Tool
from sympozium_api.tool_address import AddressError, host_of
from sympozium_api.tool_binding import ToolBinding
from sympozium_api.tool_policy import allows
from sympozium_api.tool_schema import Parameters

Outcome = Literal["ok", "failed", "unreachable", "timeout", "refused", "rate_limited", "invalid_arguments"]
"""Outcome of a call, as metrics count it."""


class CallRefused(Exception):
    """A call that is not made. The message is for the model: it names the rule, and holds no content and no secret."""

    def __init__(self, message: str, outcome: Outcome = "refused") -> None:
        super().__init__(message)
        self.outcome = outcome


class PolicyDenied(CallRefused):
    """A call that a SympoziumPolicy does not allow."""

    def __init__(self, denial: Denial) -> None:
        super().__init__(str(denial))
        self.denial = denial


@dataclass(frozen=True)
class Grant:
    """Permission of an agent to call a function: a ToolBinding with its Tool, or the instance's built-in tool."""

    function: str
    tool: Tool | None = None
    binding: ToolBinding | None = None
    builtin: str | None = None
    """Name of the built-in tool, if the guard itself carries out the call."""
    parameters: str = "{}"
    """JSON text of the arguments' schema."""
    policy: EffectivePolicy | None = None
    """All policies that bind the agent's instance; None: none does."""
    skills: Sequence[SkillRef] = ()
    """Skills of the agent's instance."""

    @property
    def allowed_domains(self) -> frozenset[str] | None:
        """Hosts that a call may reach; None: any public one, because the instance itself allows the built-in tool."""
        return frozenset(self.binding.spec.allowed_domains) if self.binding else None

    @property
    def timeout_seconds(self) -> float:
        """Seconds that the call may take, retries included."""
        if self.binding is None or self.tool is None:
            return 10.0
        return min(self.binding.spec.timeout_ms / 1000, float(self.tool.spec.timeout_seconds))


def in_force(binding: ToolBinding, tool: Tool, function: str) -> None:
    """Raise CallRefused unless a binding and its Tool hold: by the operator's word, and by what stands in them now."""
    if not binding.status.is_granted:
        raise CallRefused("the tool is not in force for this agent")
    if tool.status.function != function:
        raise CallRefused("the tool has another function by now")
    if flaw := tool_check.of_tool(tool) or tool_check.of_binding(binding, tool):
        raise CallRefused(f"the tool is not in force: {flaw.reason}")


def check(
    grant: Grant, run: AgentRun, arguments: dict[str, Any], compiled: Callable[[str], Parameters] = Parameters
) -> None:
    """Raise CallRefused unless the run's rights and the arguments allow the call. ``compiled`` returns a schema, ready to use."""
    if not allows(run.spec.tool_policy, grant.function):
        raise CallRefused("the run's toolPolicy does not allow the tool")
    binding, caller = grant.binding, run.spec.caller
    if binding and binding.spec.permission_scope == "write" and caller and TOOLS_WRITE not in caller.scopes:
        raise CallRefused(f"the caller lacks the scope {TOOLS_WRITE}, which this tool needs")
    if failure := compiled(grant.parameters).failure(arguments):
        raise CallRefused(failure, "invalid_arguments")


def permit(policy: EffectivePolicy | None, denial: Denial | None) -> EffectivePolicy | None:
    """Return the policy unless it denies. Raises PolicyDenied."""
    if denial is not None:
        raise PolicyDenied(denial)
    return policy


def allowed_host(url: str, domains: frozenset[str] | None, policy: EffectivePolicy | None = None) -> str:
    """Return the host of a URL. Raises CallRefused if the URL is never called, or its host is not among ``domains`` (None: any) or not
    one that the policy allows.
    """
    try:
        host = host_of(url)
    except AddressError as error:
        raise CallRefused(f"the URL {error}") from None
    if domains is not None and host not in domains:
        raise CallRefused(f"the host {host} is not in allowedDomains of the tool's binding")
    permit(policy, effective_policy.listed(policy, "egressHosts", host))
    return host
