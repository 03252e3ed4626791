"""Handlers of the SDK's server: each reads the instance or its runs, and a pure function of ``protocol.mcp`` makes the result."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    CallToolResult,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS, is_version_at_least

from sympozium_api.run import AgentRun
from sympozium_webproxy.instance_cache import InstanceCache, ServedInstance
from sympozium_webproxy.protocol.mcp import prompts, results, run_resources, tasks, tools
from sympozium_webproxy.protocol.mcp.tasks import TaskParams, UpdateTaskParams
from sympozium_webproxy.request import left_out, owned_runs
from sympozium_webproxy.routes.mcp import calls
from sympozium_webproxy.routes.mcp.dispatch import Ctx, caller

CurrentServer = Callable[[], Server[Any]]

_RESOURCE_NOT_FOUND = -32002
_TOOL_ERRORS_SINCE = "2025-11-25"
"""Version from which on a model gets the errors of its arguments; in older ones its client does."""


def current_server(cache: InstanceCache) -> CurrentServer:
    """Return a function that returns the server of the current instance, and raises Refusal 503 if it cannot be served."""
    made: tuple[ServedInstance, Server[Any]] | None = None

    def current() -> Server[Any]:
        nonlocal made
        served = cache.served()
        if made is None or made[0] is not served:
            made = served, _server(served)
        return made[1]

    return current


def _server(served: ServedInstance) -> Server[Any]:
    name, skills = served.instance.metadata.name, served.skills
    handlers = _Handlers(served)
    server: Server[Any] = Server(
        name,
        version=version("sympozium"),
        title=served.instance.spec.title or name,
        instructions=served.instance.spec.description,
        get_tool_input_schema=lambda tool: tools.input_schema(tool, skills),
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,  # type: ignore[arg-type]  # a call may become a task, for which the SDK has no type
        on_list_prompts=handlers.list_prompts,
        on_get_prompt=handlers.get_prompt,
        on_list_resources=_list_resources,
        on_list_resource_templates=_list_templates,
        on_read_resource=_read_resource,
    )
    server.middleware.clear()  # its spans would repeat the web-proxy's own
    server.extensions[tasks.EXTENSION] = {}
    server.add_request_handler("tasks/get", TaskParams, _get_task)
    server.add_request_handler("tasks/update", UpdateTaskParams, _update_task)
    server.add_request_handler("tasks/cancel", TaskParams, _cancel_task)
    return server


class _Handlers:
    """Handlers that need the instance."""

    def __init__(self, served: ServedInstance) -> None:
        self._served = served
        self._tools = tools.listing(served.instance, served.skills)
        self._prompts = prompts.listing(served.skills)

    async def list_tools(self, _: Ctx, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=self._tools)

    async def call_tool(self, ctx: Ctx, params: CallToolRequestParams) -> CallToolResult | dict[str, Any]:
        try:
            call, ignored = tools.parse_call(params.name, params.arguments or {}, self._served.skills)
        except tools.UnknownTool as error:
            raise MCPError(code=INVALID_PARAMS, message=f"Unknown tool: {params.name}") from error
        except tools.InvalidArguments as error:
            message = f"Invalid arguments for {params.name}: {error}"
            if is_version_at_least(ctx.protocol_version, _TOOL_ERRORS_SINCE):
                return results.refused(message)
            raise MCPError(code=INVALID_PARAMS, message=message) from error
        left_out.tell(caller(ctx).http, [f"params.arguments.{name}" for name in ignored])
        match call:
            case tools.Ask():
                return await calls.ask(ctx, self._served, call, as_task=_takes_tasks(ctx))
            case tools.GetRun():
                return await calls.get_run(caller(ctx), call)
            case tools.CancelRun():
                return await calls.cancel_run(caller(ctx), call)

    async def list_prompts(self, _: Ctx, __: PaginatedRequestParams | None) -> ListPromptsResult:
        return ListPromptsResult(prompts=self._prompts)

    async def get_prompt(self, _: Ctx, params: GetPromptRequestParams) -> GetPromptResult:
        try:
            return prompts.get(params.name, params.arguments or {}, self._served.skills)
        except prompts.InvalidPrompt as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from error


async def _list_resources(ctx: Ctx, params: PaginatedRequestParams | None) -> ListResourcesResult:
    try:
        runs, after = await owned_runs.ended(caller(ctx).http, after=(params and params.cursor) or "")
    except owned_runs.NoSuchPage as error:
        raise MCPError(code=INVALID_PARAMS, message="Invalid cursor") from error
    return ListResourcesResult(resources=[run_resources.entry(run) for run in runs], next_cursor=after or None)


async def _list_templates(_: Ctx, __: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
    return ListResourceTemplatesResult(resource_templates=[run_resources.TEMPLATE])


async def _read_resource(ctx: Ctx, params: ReadResourceRequestParams) -> ReadResourceResult:
    name = run_resources.run_of(str(params.uri))
    run = await owned_runs.run(caller(ctx).http, name) if name else None
    if run is None or not run.ended:
        code = INVALID_PARAMS if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS else _RESOURCE_NOT_FOUND
        raise MCPError(code=code, message="Resource not found", data={"uri": str(params.uri)})
    return run_resources.read(run)


def _takes_tasks(ctx: Ctx) -> bool:
    declared = ctx.session.client_capabilities
    extensions = (declared and declared.extensions) or {}
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and tasks.EXTENSION in extensions


async def _task(ctx: Ctx, params: TaskParams) -> AgentRun:
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(code=METHOD_NOT_FOUND, message="Method not found", data=ctx.method)
    if not _takes_tasks(ctx):
        needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {tasks.EXTENSION: {}}}}
        message = f"The client has not declared the extension {tasks.EXTENSION}"
        raise MCPError(code=MISSING_REQUIRED_CLIENT_CAPABILITY, message=message, data=needed)
    if (run := await owned_runs.run(caller(ctx).http, params.task_id)) is None:
        raise MCPError(code=INVALID_PARAMS, message="Unknown task")
    return run


async def _get_task(ctx: Ctx, params: TaskParams) -> dict[str, Any]:
    return tasks.detailed(await _task(ctx, params))


async def _update_task(ctx: Ctx, params: UpdateTaskParams) -> EmptyResult:
    await _task(ctx, params)  # accepted without effect, because no run asks its caller anything
    return EmptyResult()


async def _cancel_task(ctx: Ctx, params: TaskParams) -> EmptyResult:
    await owned_runs.cancel(caller(ctx).http, await _task(ctx, params))
    return EmptyResult()
