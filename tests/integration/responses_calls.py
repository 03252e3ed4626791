"""Calls of the Responses API with the official SDK, which several test modules share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
from openai.types.responses import Response
from tests.fakes import pod as fake_pod
from tests.fakes.clock import FakeClock
from tests.integration.conftest import KEY, Proxy, assembled

from sympozium_api.resources import RUNS

TOOL: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}


CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
CANCELLED = {"type": "cancelled", "message": "The run was cancelled.", "httpStatus": 499}


async def answered(proxy: Proxy, sdk: openai.AsyncOpenAI, *words: str, among: int = 1, **fields: Any) -> Response:
    """Return a response whose pod writes these words."""
    asked = asyncio.create_task(sdk.responses.create(**{"model": "default", "input": "hello"} | fields))
    await (await proxy.pod(among=among)).answer(*words)
    response: Response = await asked
    return response


def request_of(proxy: Proxy, response: Response) -> dict[str, Any]:
    """Return the request that the run of a response sends to its model."""
    return fake_pod.request_of(proxy.kubernetes.object(RUNS, response.id.removeprefix("resp_")))


@asynccontextmanager
async def other_replica(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of another replica: it shares nothing with the first but the cluster."""
    async with (
        assembled(proxy.kubernetes, proxy.context.settings, FakeClock()) as (_, url, _, _),
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        yield client
