"""Tools of the tenant."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from sympozium_domain.callers.tenant_caller import TenantCaller
from sympozium_domain.idempotent_creation import KeyOfAnotherBody
from sympozium_domain.tenant_bounds import TooMany
from sympozium_domain.tools.tool_record import ToolRecord
from sympozium_domain.tools.wrong_field import WrongField
from sympozium_platform import creations, errors, parsing, platform_context
from sympozium_platform.access import Reader, Writer
from sympozium_platform.audited import begin_change
from sympozium_platform.creations import IDEMPOTENCY_HEADER
from sympozium_platform.lists import ListParams, NoParams, listed
from sympozium_platform.tool_models import NewTool, ToolAnswer, ToolChange

router = APIRouter(tags=["tools"])

ToolId = Annotated[UUID, Path(description="Id of the tool.")]


@router.post(
    "/tools",
    name="tool.create",
    status_code=201,
    openapi_extra=parsing.body_of(NewTool) | {"parameters": [IDEMPOTENCY_HEADER]},
)
async def create_tool(request: Request, caller: Writer, _: NoParams) -> ToolAnswer:
    """Create a tool, which no agent may call before it is bound."""
    context = platform_context.of_request(request)
    value = await parsing.json_value(request)
    wanted = parsing.validated(value, NewTool)
    creation = creations.creation_of(request, caller, value)
    await begin_change(request, creation.id, fields=tuple(sorted(wanted.model_fields_set)))
    longest = -(-context.settings.tool_max_timeout_ms // 1000)
    with field_refusals():
        tool = await context.tools.create(
            creation, caller.namespace, wanted.fields, caller.user, timeout_seconds=longest
        )
    return ToolAnswer.of(tool, caller.tenant_id)


@router.get("/tools", name="tool.list", response_model=list[ToolAnswer])
async def list_tools(request: Request, caller: Reader, params: ListParams) -> Response:
    """Return the tenant's tools, the newest first; `x-total-count` is the number of all."""
    tools = platform_context.of_request(request).tools
    page, total = await tools.page(caller.namespace, limit=params.limit, offset=params.offset)
    return listed([ToolAnswer.of(tool, caller.tenant_id) for tool in page], total)


@router.get("/tools/{tool_id}", name="tool.get")
async def get_tool(request: Request, tool_id: ToolId, caller: Reader, _: NoParams) -> ToolAnswer:
    """Return a tool."""
    return ToolAnswer.of(await known_tool(request, tool_id, caller), caller.tenant_id)


@router.put("/tools/{tool_id}", name="tool.update", openapi_extra=parsing.body_of(ToolChange))
async def put_tool(request: Request, tool_id: ToolId, caller: Writer, _: NoParams) -> ToolAnswer:
    """Change the fields that are given. The next runs of all agents that have the tool get it so."""
    wanted = await parsing.parsed(request, ToolChange)
    await begin_change(request, str(tool_id), fields=tuple(sorted(wanted.model_fields_set)))
    with field_refusals():
        tool = await platform_context.of_request(request).tools.change(caller.namespace, str(tool_id), wanted.fields)
    if tool is None:
        raise errors.not_found("tool", str(tool_id))
    return ToolAnswer.of(tool, caller.tenant_id)


@router.delete("/tools/{tool_id}", name="tool.delete", status_code=204)
async def delete_tool(request: Request, tool_id: ToolId, caller: Writer, _: NoParams) -> Response:
    """Delete a tool, and take it from all agents."""
    await begin_change(request, str(tool_id))
    if not await platform_context.of_request(request).tools.delete(caller.namespace, str(tool_id)):
        raise errors.not_found("tool", str(tool_id))
    return Response(status_code=204)


async def known_tool(request: Request, tool_id: UUID, caller: TenantCaller) -> ToolRecord:
    """Return a tool of the caller's tenant. Raises Refusal 404."""
    tool = await platform_context.of_request(request).tools.find(caller.namespace, str(tool_id))
    if tool is None:
        raise errors.not_found("tool", str(tool_id))
    return tool


@contextmanager
def field_refusals() -> Iterator[None]:
    """Raise what is wrong with a caller's fields, or with its Idempotency-Key, as Refusal."""
    try:
        yield
    except WrongField as error:
        raise errors.bad_field(error.field, str(error)) from error
    except TooMany as error:
        raise errors.too_many_objects(error) from error
    except KeyOfAnotherBody as error:
        raise creations.key_of_another_body() from error
