"""Libraries of other languages and vendors, each in a process of its own: a chat, a stream and a task with tools."""

import json
from typing import Any

import pytest
from tests.fakes.model import TOKENS
from tests.integration.clients.conftest import CLIENTS, HERE, NODE, installed, told
from tests.integration.conftest import Proxy

JAVASCRIPT = {"JAVASCRIPT_CLIENTS": str(CLIENTS / "javascript")}
TEXT = "".join(TOKENS)
RESULTS = ["Sunny in Łódź", "noon"]
EXPECTED: dict[str, Any] = {"text": TEXT, "streamed": TEXT, "results": RESULTS, "final": TEXT}


@installed("agents")
@pytest.mark.parametrize("client", ["openai-agents", "openai-agents-chat", "pydantic-ai", "litellm", "llm"])
async def test_a_library_for_python_answers_streams_and_calls_tools(served: Proxy, client: str) -> None:
    variables = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    output = await told(
        served, CLIENTS / "agents/bin/python", HERE / "python_libraries.py", client, variables=variables
    )
    assert json.loads(output) == EXPECTED


@installed("javascript")
async def test_vercels_ai_sdk_answers_streams_and_calls_tools(served: Proxy) -> None:
    output = await told(served, NODE, HERE / "vercel.mjs", variables=JAVASCRIPT)
    assert json.loads(output) == dict.fromkeys(("responses", "chat", "compatible"), EXPECTED | {"tokens": 10})


@installed("javascript")
async def test_langchain_for_javascript_answers_streams_and_calls_tools(served: Proxy) -> None:
    output = await told(served, NODE, HERE / "langchain.mjs", variables=JAVASCRIPT)
    assert json.loads(output) == dict.fromkeys(("chat", "responses"), EXPECTED | {"tokens": 10})


@pytest.mark.parametrize(
    ("folder", "program"),
    [
        pytest.param("openai-java", "OpenAi", marks=installed("openai-java")),
        pytest.param("langchain4j", "LangChain4j", marks=installed("langchain4j")),
        pytest.param("spring-ai", "SpringAi", marks=installed("spring-ai")),
    ],
)
async def test_a_library_for_java_answers_streams_and_calls_tools(served: Proxy, folder: str, program: str) -> None:
    output = await told(served, "java", "-cp", f"{CLIENTS / folder}/lib/*", HERE / f"java/{program}.java")
    assert json.loads(output.splitlines()[-1]) == EXPECTED
