"""Tools of an agent: bindings, which grant them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from sympozium_api.instance import SympoziumInstance
from sympozium_domain.callers.tenant_caller import TenantCaller
from sympozium_domain.tools.bindings import BindingFields, Grantee
from sympozium_platform import creations, errors, parsing, platform_context
from sympozium_platform.access import Reader, Writer
from sympozium_platform.audited import begin_change
from sympozium_platform.creations import IDEMPOTENCY_HEADER
from sympozium_platform.lists import ListParams, NoParams, listed
from sympozium_platform.routes.tools import ToolId, field_refusals, known_tool
from sympozium_platform.tool_models import BindingAnswer, NewBinding

router = APIRouter(tags=["bindings"])

AgentId = Annotated[UUID, Path(description="Id of the agent.")]
NOT_IN_FORCE = "x-sympozium-not-in-force"
"""Header of an answer: reason why the agent is not offered the tool, although it is bound."""


@router.post(
    "/agents/{agent_id}/tools/{tool_id}",
    name="binding.create",
    status_code=201,
    openapi_extra=parsing.body_of(NewBinding, required=False) | {"parameters": [IDEMPOTENCY_HEADER]},
)
async def bind_tool(
    request: Request, response: Response, agent_id: AgentId, tool_id: ToolId, caller: Writer, _: NoParams
) -> BindingAnswer:
    """Grant a tool to an agent from its next run on. A binding that is there is replaced."""
    bindings = platform_context.of_request(request).bindings
    value = await parsing.json_value_if_any(request)
    wanted = parsing.validated(value, NewBinding)
    fields = _checked(request, wanted)
    agent, tool = await _agent(request, agent_id, caller), await known_tool(request, tool_id, caller)
    creation = creations.creation_of(request, caller, value)
    known = await bindings.id_of_pair(agent, tool)
    await begin_change(request, known or creation.id, fields=tuple(sorted(wanted.model_fields_set)))
    with field_refusals():
        made = await bindings.bind(creation, agent, tool, fields, caller.user)
    if made.obstacle is not None:
        response.headers[NOT_IN_FORCE] = " ".join(made.obstacle.encode("ascii", "replace").decode().split())
    return BindingAnswer.of(made.binding, caller)


@router.get("/agents/{agent_id}/tools", name="binding.list", response_model=list[BindingAnswer])
async def list_bindings(request: Request, agent_id: AgentId, caller: Reader, params: ListParams) -> Response:
    """Return the bindings of an agent, the newest first; `x-total-count` is the number of all."""
    agent = await _agent(request, agent_id, caller)
    found = await platform_context.of_request(request).bindings.of_agent(agent)
    page = found[params.offset : params.offset + params.limit]
    return listed([BindingAnswer.of(binding, caller) for binding in page], len(found))


@router.delete("/agents/{agent_id}/tools/{tool_id}", name="binding.delete", status_code=204)
async def unbind_tool(request: Request, agent_id: AgentId, tool_id: ToolId, caller: Writer, _: NoParams) -> Response:
    """Take a tool from an agent. Its next run is not offered the tool."""
    bindings = platform_context.of_request(request).bindings
    agent, tool = await _agent(request, agent_id, caller), await known_tool(request, tool_id, caller)
    known = await bindings.id_of_pair(agent, tool)
    await begin_change(request, known)
    if known is None or not await bindings.unbind(agent, tool):
        raise errors.refused(404, "not_found", f"The agent {agent_id} does not have the tool {tool_id}.")
    return Response(status_code=204)


def _checked(request: Request, wanted: NewBinding) -> BindingFields:
    settings = platform_context.of_request(request).settings
    fields = wanted.fields_within(default_ms=settings.tool_timeout_ms)
    if fields["timeout_ms"] > settings.tool_max_timeout_ms:
        raise errors.bad_field("timeout_ms", f"must be at most {settings.tool_max_timeout_ms}")
    return fields


async def _agent(request: Request, agent_id: UUID, caller: TenantCaller) -> Grantee:
    """Return an agent of the caller's tenant. Raises Refusal 404."""
    body = await platform_context.of_request(request).agents.find(caller.namespace, str(agent_id))
    if body is None:
        raise errors.not_found("agent", str(agent_id))
    return Grantee(str(agent_id), SympoziumInstance.model_validate(body))
