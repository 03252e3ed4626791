# mypy: ignore-errors
# ruff: noqa: PLC0415 - each client takes seconds to import, and one is wanted
# These clients are not installed where the types are checked.
"""OpenAI's Agents SDK, Pydantic AI, LiteLLM and llm against an endpoint: each a chat, a stream and a task with a tool, reported as JSON.

Runs in an environment of its own: ``local/clients.sh``. The argument is the client.
"""

import asyncio
import json
import os
import sys
from typing import Any

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


async def litellm() -> Told:
    from litellm import acompletion

    async def ask(model: str, messages: list[Any], **options: Any) -> Any:
        endpoint = {"api_base": os.environ["OPENAI_BASE_URL"], "max_retries": 0}
        return await acompletion(model=f"openai/{model}", messages=messages, **endpoint, **options)

    hello = [{"role": "user", "content": "hello"}]
    whole = await ask("default", hello)
    stream = await ask("default", hello, stream=True, stream_options={"include_usage": True})
    streamed = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    functions = {"get_weather": get_weather, "get_time": get_time}
    tools = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in functions]
    calling = (await ask("tools", hello, tools=tools)).choices[0].message
    results = [
        {
            "role": "tool",
            "tool_call_id": call.id,
            "content": functions[call.function.name](**json.loads(call.function.arguments)),
        }
        for call in calling.tool_calls
    ]
    final = await ask("tools", [*hello, calling, *results], tools=tools)
    texts = [answer.choices[0].message.content for answer in (whole, final)]
    return texts[0], streamed, [result["content"] for result in results], texts[1]


async def llm() -> Told:
    from llm.default_plugins.openai_models import AsyncChat

    def model(name: str) -> AsyncChat:
        return AsyncChat(
            model_id=name, key=os.environ["OPENAI_API_KEY"], api_base=os.environ["OPENAI_BASE_URL"], supports_tools=True
        )

    whole = await model("default").prompt("hello", stream=False).text()
    streamed = "".join([piece async for piece in model("default").prompt("hello")])
    results = []

    def note(_tool: Any, _call: Any, result: Any) -> None:
        results.append(result.output)

    chain = model("tools").chain(
        "What is the weather?",
        tools=[get_weather, get_time],
        after_call=note,
    )
    answers = [await answer.text() async for answer in chain.responses()]
    return whole, streamed, results, answers[-1]


CLIENTS = {
    "openai-agents": lambda: openai_agents("responses"),
    "openai-agents-chat": lambda: openai_agents("chat_completions"),
    "pydantic-ai": pydantic_ai,
    "litellm": litellm,
    "llm": llm,
}
text, streamed, results, final = asyncio.run(CLIENTS[sys.argv[1]]())
print(json.dumps({"text": text, "streamed": streamed, "results": results, "final": final}))  # noqa: T201 - what this script is for
