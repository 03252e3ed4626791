# mypy: ignore-errors
# ruff: noqa: PLC0415 - each client takes seconds to import, and one is wanted
# These clients are not installed where the types are checked.
"""OpenAI's Agents SDK and Pydantic AI against an endpoint: each a chat, a stream and a task with a tool, reported as JSON.

Runs in an environment of its own: ``local/clients.sh``. The argument is the client.
"""

import asyncio
import json
import sys

Told = tuple[str, str, list[str], str]
"""A whole answer, a streamed one, the results of the tools, and the answer after them."""


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"Sunny in {city}"


def get_time() -> str:
    """Return the time."""
    return "noon"


async def openai_agents(api: str) -> Told:
    from agents import Agent, Runner, function_tool, set_default_openai_api, set_tracing_disabled

    set_tracing_disabled(True)
    set_default_openai_api(api)
    plain = Agent(name="plain", instructions="Be short.", model="default")
    able = Agent(name="able", model="tools", tools=[function_tool(get_weather), function_tool(get_time)])
    whole = await Runner.run(plain, "hello")
    stream = Runner.run_streamed(plain, "hello")
    streamed = "".join(
        [
            event.data.delta
            async for event in stream.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]
    )
    task = await Runner.run(able, "What is the weather?")
    results = [item.output for item in task.new_items if item.type == "tool_call_output_item"]
    return whole.final_output, streamed, results, task.final_output


async def pydantic_ai() -> Told:
    from pydantic_ai import Agent
    from pydantic_ai.messages import ToolReturnPart
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel

    told = []
    for kind in (OpenAIChatModel, OpenAIResponsesModel):
        plain = Agent(kind("default"), instructions="Be short.")
        whole = await plain.run("hello")
        async with plain.run_stream("hello") as stream:
            streamed = "".join([piece async for piece in stream.stream_text(delta=True)])
        task = await Agent(kind("tools"), tools=[get_weather, get_time]).run("What is the weather?")
        parts = [part for message in task.all_messages() for part in message.parts]
        results = [part.content for part in parts if isinstance(part, ToolReturnPart)]
        told.append((whole.output, streamed, results, task.output))
    assert told[0] == told[1], told
    return told[0]


CLIENTS = {
    "openai-agents": lambda: openai_agents("responses"),
    "openai-agents-chat": lambda: openai_agents("chat_completions"),
    "pydantic-ai": pydantic_ai,
}
text, streamed, results, final = asyncio.run(CLIENTS[sys.argv[1]]())
print(json.dumps({"text": text, "streamed": streamed, "results": results, "final": final}))  # noqa: T201 - what this script is for
