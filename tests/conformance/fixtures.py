"""The server that the MCP conformance suite expects: tools, prompts and resources with these names and texts.

They stand where an instance's own tools would, behind the same transports, authentication and limits.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    BlobResourceContents,
    CallToolRequestParams,
    CallToolResult,
    CompleteResult,
    Completion,
    EmbeddedResource,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    ImageContent,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    SetLevelRequestParams,
    TextContent,
    TextResourceContents,
    Tool,
)

Ctx = ServerRequestContext[Any, Any]
Result = CallToolResult | InputRequiredResult
Call = Callable[[Ctx, CallToolRequestParams], Awaitable[Result]]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA="

IMAGE = ImageContent(type="image", data=PNG, mime_type="image/png")
NO_ARGUMENTS: dict[str, Any] = {"type": "object"}
DRAFT_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def text(said: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=said)])


def embedded(uri: str, content: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=content))


def constant(result: CallToolResult) -> Call:
    async def call(_: Ctx, __: CallToolRequestParams) -> Result:
        return result

    return call


async def with_progress(ctx: Ctx, _: CallToolRequestParams) -> Result:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100, f"step {done}")
        await asyncio.sleep(0.05)
    return text("progress was told")


async def with_logging(ctx: Ctx, _: CallToolRequestParams) -> Result:
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.session.send_log_message("info", said, related_request_id=ctx.request_id)
        await asyncio.sleep(0.05)
    return text("three messages were logged")


async def needs_sampling(ctx: Ctx, _: CallToolRequestParams) -> Result:
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        raise MCPError(
            code=MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="sampling is needed",
            data={"requiredCapabilities": {"sampling": {}}},
        )
    return text("sampling is there")


async def asks_its_client(_: Ctx, __: CallToolRequestParams) -> Result:
    """Answers that the 2025 versions allow, and this server never gives (docs/decisions/0030)."""
    return CallToolResult(content=[TextContent(type="text", text="no client is asked anything")], is_error=True)


def form(message: str, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}}


def question(said: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": {"type": "text", "text": said}}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": 100}}


ROOTS = {"method": "roots/list", "params": {}}
NAME = form("What is your name?", name={"type": "string"})
CONFIRM = form("Please confirm", ok={"type": "boolean"})


def wanted(requests: dict[str, Any], state: str | None = None) -> InputRequiredResult:
    return InputRequiredResult.model_validate(
        {"resultType": "input_required", "inputRequests": requests, "requestState": state}
    )


def answers(params: Any) -> dict[str, Any]:
    given = params.input_responses or {}
    return {
        key: value.model_dump(mode="json", by_alias=True) if hasattr(value, "model_dump") else value
        for key, value in given.items()
    }


def asking(requests: dict[str, Any], then: str, state: str | None = None) -> Call:
    """A tool that needs these answers first."""

    async def call(_: Ctx, params: CallToolRequestParams) -> Result:
        if state is not None and params.input_responses and params.request_state != state:
            raise MCPError(code=INVALID_PARAMS, message="requestState is not what was sent")
        if not set(requests) <= set(answers(params)):
            return wanted(requests, state)
        return text(f"{then} {json.dumps(answers(params))}")

    return call


async def in_two_rounds(_: Ctx, params: CallToolRequestParams) -> Result:
    if params.request_state is None:
        return wanted({"step1": form("Step 1: What is your name?", name={"type": "string"})}, "one")
    if params.request_state == "one":
        return wanted({"step2": form("Step 2: What is your favorite color?", color={"type": "string"})}, "two")
    return text("both steps are done")


async def by_capability(ctx: Ctx, params: CallToolRequestParams) -> Result:
    if params.input_responses:
        return text("answered")
    declared = ctx.session.client_capabilities
    found: dict[str, Any] = {}
    if declared and declared.elicitation is not None:
        found["user_name"] = NAME
    if declared and declared.sampling is not None:
        found["capital_question"] = question("What is the capital of France?")
    return wanted(found, None if found else "none")


def described(name: str, schema: dict[str, Any]) -> Tool:
    return Tool(name=name, description=f"Fixture {name}", input_schema=schema)


def with_string(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


MIXED = [
    TextContent(type="text", text="Multiple content types test:"),
    IMAGE,
    embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
]
FAILED = text("This tool intentionally returns an error for testing").model_copy(update={"is_error": True})
SCHEMAS = {
    "test_sampling": with_string("prompt"),
    "test_elicitation": with_string("message"),
    "json_schema_2020_12_tool": DRAFT_2020_12,
    "test_header_of_an_argument": {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    },
}
CALLS: dict[str, Call] = {
    "test_simple_text": constant(text("This is a simple text response for testing.")),
    "test_image_content": constant(CallToolResult(content=[IMAGE])),
    "test_audio_content": constant(
        CallToolResult(content=[AudioContent(type="audio", data=WAV, mime_type="audio/wav")])
    ),
    "test_embedded_resource": constant(
        CallToolResult(content=[embedded("test://embedded-resource", "This is an embedded resource content.")])
    ),
    "test_multiple_content_types": constant(CallToolResult(content=MIXED)),
    "test_tool_with_logging": with_logging,
    "test_tool_with_progress": with_progress,
    "test_error_handling": constant(FAILED),
    "test_sampling": asks_its_client,
    "test_elicitation": asks_its_client,
    "test_elicitation_sep1034_defaults": asks_its_client,
    "test_elicitation_sep1330_enums": asks_its_client,
    "json_schema_2020_12_tool": constant(text("valid")),
    "test_header_of_an_argument": constant(text("header and argument agree")),
    "test_missing_capability": needs_sampling,
    "test_streaming_elicitation": asking({"user_name": NAME}, "Hello"),
    "test_logging_tool": with_logging,
    "test_input_required_result_elicitation": asking({"user_name": NAME}, "Hello"),
    "test_input_required_result_sampling": asking({"capital": question("What is the capital of France?")}, "It is"),
    "test_input_required_result_list_roots": asking({"client_roots": ROOTS}, "The roots are"),
    "test_input_required_result_request_state": asking({"confirm": CONFIRM}, "state-ok", "pending"),
    "test_input_required_result_multiple_inputs": asking(
        {"user_name": NAME, "greeting": question("Generate a greeting"), "client_roots": ROOTS}, "All:", "pending"
    ),
    "test_input_required_result_multi_round": in_two_rounds,
    "test_input_required_result_tampered_state": asking({"confirm": CONFIRM}, "state-ok", "pending"),
    "test_input_required_result_capabilities": by_capability,
}
RESOURCES: dict[str, TextResourceContents | BlobResourceContents] = {
    "test://static-text": TextResourceContents(
        uri="test://static-text", mime_type="text/plain", text="This is the content of the static text resource."
    ),
    "test://static-binary": BlobResourceContents(uri="test://static-binary", mime_type="image/png", blob=PNG),
    "test://watched-resource": TextResourceContents(
        uri="test://watched-resource", mime_type="text/plain", text="Watched resource content"
    ),
}
PROMPTS = {
    "test_simple_prompt": [],
    "test_prompt_with_arguments": ["arg1", "arg2"],
    "test_prompt_with_embedded_resource": ["resourceUri"],
    "test_prompt_with_image": [],
    "test_input_required_result_prompt": [],
}


async def list_tools(_: Ctx, __: Any) -> ListToolsResult:
    return ListToolsResult(tools=[described(name, SCHEMAS.get(name, NO_ARGUMENTS)) for name in CALLS])


async def call_tool(ctx: Ctx, params: CallToolRequestParams) -> Result:
    if params.name not in CALLS:
        raise MCPError(code=INVALID_PARAMS, message=f"Unknown tool: {params.name}")
    return await CALLS[params.name](ctx, params)


async def list_resources(_: Ctx, __: Any) -> ListResourcesResult:
    return ListResourcesResult(
        resources=[
            Resource(uri=uri, name=uri, description=f"Fixture {uri}", mime_type=found.mime_type)
            for uri, found in RESOURCES.items()
        ]
    )


async def list_templates(_: Ctx, __: Any) -> ListResourceTemplatesResult:
    template = ResourceTemplate(name="data", uri_template="test://template/{id}/data", mime_type="application/json")
    return ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(ctx: Ctx, params: ReadResourceRequestParams) -> ReadResourceResult:
    if params.uri in RESOURCES:
        return ReadResourceResult(contents=[RESOURCES[params.uri]])
    parts = params.uri.removeprefix("test://template/").split("/")
    if len(parts) == 2 and parts[1] == "data":
        said = json.dumps({"id": parts[0], "templateTest": True, "data": f"Data for ID: {parts[0]}"})
        found = TextResourceContents(uri=params.uri, mime_type="application/json", text=said)
        return ReadResourceResult(contents=[found])
    raise MCPError(code=INVALID_PARAMS, message="Resource not found", data={"uri": params.uri})


async def list_prompts(_: Ctx, __: Any) -> ListPromptsResult:
    return ListPromptsResult(
        prompts=[
            Prompt(
                name=name,
                description=f"Fixture {name}",
                arguments=[PromptArgument(name=argument, required=True) for argument in arguments],
            )
            for name, arguments in PROMPTS.items()
        ]
    )


async def get_prompt(_: Ctx, params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
    given = params.arguments or {}
    said: list[TextContent | ImageContent | EmbeddedResource]
    match params.name:
        case "test_simple_prompt":
            said = [TextContent(type="text", text="This is a simple prompt for testing.")]
        case "test_prompt_with_arguments":
            told = f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'"
            said = [TextContent(type="text", text=told)]
        case "test_prompt_with_embedded_resource":
            content = embedded(given.get("resourceUri", ""), "Embedded resource content for testing.")
            said = [content, TextContent(type="text", text="Please process the embedded resource above.")]
        case "test_prompt_with_image":
            said = [IMAGE, TextContent(type="text", text="Please analyze the image above.")]
        case "test_input_required_result_prompt":
            needed = {"user_context": form("What context should the prompt use?", context={"type": "string"})}
            if "user_context" not in answers(params):
                return wanted(needed)
            said = [TextContent(type="text", text=json.dumps(answers(params)))]
        case _:
            raise MCPError(code=INVALID_PARAMS, message=f"Unknown prompt: {params.name}")
    return GetPromptResult(messages=[PromptMessage(role="user", content=part) for part in said])


async def accept(_: Ctx, __: Any) -> EmptyResult:
    return EmptyResult()


async def complete(_: Ctx, __: Any) -> CompleteResult:
    return CompleteResult(completion=Completion(values=["paris", "park"], total=2, has_more=False))


def fixture_server() -> Server[Any]:
    """The server that has all of this."""
    server: Server[Any] = Server(
        "conformance",
        version="1",
        get_tool_input_schema=SCHEMAS.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=accept,
        on_unsubscribe_resource=accept,
        on_completion=complete,
    )
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, accept)
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience="conformance"))
    return server
