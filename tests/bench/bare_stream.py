"""A bare FastAPI route that streams an answer as the web-proxy does, in a process of its own: the yardstick of a streamed request.

``python -m tests.bench.bare_stream PORT`` is that process.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

_HEAD = b'data: {"id":"chatcmpl-demo-0123456789ab","object":"chat.completion.chunk","created":1767225600,"model":"m","choices":'
FRAMES = (
    _HEAD + b'[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":"1.0 1.0 1.0 1.0"}}]}\n\n',
    _HEAD + b'[{"finish_reason":"stop","index":0,"delta":{}}]}\n\ndata: [DONE]\n\n',
)
"""What a caller of the web-proxy gets for a stand-in's answer."""

app = FastAPI()


@app.post("/v1/chat/completions")
async def stream(request: Request) -> StreamingResponse:
    """Read the body and stream."""
    await request.json()
    return StreamingResponse(_frames(), media_type="text/event-stream")


async def _frames() -> AsyncIterator[bytes]:
    for frame in FRAMES:
        yield frame
        await asyncio.sleep(0)


@app.get("/readyz")
async def ready() -> None:
    """Answer once the process serves."""


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", access_log=False, log_config=None, timeout_keep_alive=600)
