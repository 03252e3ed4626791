# mypy: ignore-errors
# LangChain is not installed where the types are checked.
"""LangChain's OpenAI classes against an endpoint, reported as JSON. Runs in an environment of its own: ``local/clients.sh``."""

import json
import os

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

model = ChatOpenAI(model="default", max_retries=0, stream_usage=True)
asked = [SystemMessage("Be short."), HumanMessage("hello")]


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}"


@tool
def get_time() -> str:
    """The time."""
    return "noon"


answer = model.invoke(asked)
pieces = list(model.stream(asked))

able = ChatOpenAI(model="tools", max_retries=0).bind_tools([get_weather, get_time])
calling = able.invoke(asked)
tools = {"get_weather": get_weather, "get_time": get_time}
results = [
    ToolMessage(tools[call["name"]].invoke(call["args"]), tool_call_id=call["id"]) for call in calling.tool_calls
]
final = able.invoke([*asked, calling, *results])

embeddings = OpenAIEmbeddings(model="embed", check_embedding_ctx_length=False)
print(  # noqa: T201 - what this script is for
    json.dumps(
        {
            "text": answer.content,
            "tokens": answer.usage_metadata["total_tokens"],
            "streamed": "".join(piece.content for piece in pieces),
            "pieces": len([piece for piece in pieces if piece.content]),
            "calls": [[call["name"], call["args"]] for call in calling.tool_calls],
            "final": final.content,
            "vectors": embeddings.embed_documents(["One", "Three"]),
            "base_url": os.environ["OPENAI_BASE_URL"],
        }
    )
)
