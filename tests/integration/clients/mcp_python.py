# mypy: ignore-errors
# The version 1 of MCP's SDK is not installed where the types are checked.
"""Version 1 of MCP's SDK for Python against an endpoint, by Streamable HTTP and by HTTP+SSE, reported as JSON."""

import asyncio
import json
import os
from typing import Any

from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamablehttp_client

URL = os.environ["MCP_URL"]
HEADERS = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}


async def told(transport: Any) -> dict[str, str]:
    """Return what an agent says to this transport's client, and the pieces that came as progress."""
    pieces: list[str] = []

    async def progress(_progress: float, _total: float | None, message: str) -> None:
        pieces.append(message)

    async with transport as (reading, writing, *_rest), ClientSession(reading, writing) as session:
        await session.initialize()
        [tool, *_] = (await session.list_tools()).tools
        answer = await session.call_tool(tool.name, {"task": "hello"}, progress_callback=progress)
    text = answer.content[0].text
    return {"tool": tool.name, "text": text, "progress": "".join(pieces)}


async def main() -> None:
    streamable = await told(streamablehttp_client(f"{URL}/mcp", headers=HEADERS))
    sse = await told(sse_client(f"{URL}/sse", headers=HEADERS))
    print(json.dumps({"streamable": streamable, "sse": sse}))  # noqa: T201 - what this script is for


asyncio.run(main())
