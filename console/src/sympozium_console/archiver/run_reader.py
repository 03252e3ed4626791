"""Reader of whole runs, with the texts that are in AgentRunParts. It bounds how much of them is in memory at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sympozium_api import names
from sympozium_api.client import Client
from sympozium_api.json_text import JsonText
from sympozium_api.resources import RUN_PARTS, RUNS, Object
from sympozium_api.run import AgentRun

READERS = 4
"""Runs in memory at the same time: each may hold 1.5 MB, and take several times that once it is parsed."""


class RunReader:
    """Reads runs, at most four at a time, and of those with AgentRunParts one: its texts may have 16 MiB."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._readers = asyncio.Semaphore(READERS)
        self._of_parts = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until few enough other runs are in memory."""
        async with self._readers:
            yield

    async def find(self, namespace: str, name: str, uid: str) -> Object | None:
        """Read a run as its object is; None if it is gone, or another one has its name. Raises ApiError and ApiUnavailable."""
        body = await self._client.find(RUNS, namespace, name)
        return body if body is not None and body["metadata"]["uid"] == uid else None

    async def answers(self) -> bool:
        """Return true if the API server answers."""
        return await self._client.answers()

    @asynccontextmanager
    async def with_texts(self, run: AgentRun) -> AsyncIterator[AgentRun]:
        """Give a run with its texts. One of which a part is missing stays in parts. Raises ApiError and ApiUnavailable."""
        texts = (run.spec.request_text, run.spec.response_text, run.status.answer)
        if not any(text is not None and text.parts is not None for text in texts):
            yield run
            return
        async with self._of_parts:
            request, response, answer = [await self._joined(run, text) for text in texts]
            spec = run.spec.model_copy(update={"request_text": request, "response_text": response})
            status = run.status.model_copy(update={"answer": answer})
            yield run.model_copy(update={"spec": spec, "status": status})

    async def _joined(self, run: AgentRun, text: JsonText | None) -> JsonText | None:
        """Return a text that is in parts as ``json``. No more parts are read than ``bytes`` allows."""
        if text is None or text.parts is None:
            return text
        pieces, size = list[str](), 0
        for index in range(text.parts):
            name = names.run_part(run.spec.agent_ref, run.metadata.uid, text.sha256 or "", index)
            part = await self._client.find(RUN_PARTS, run.metadata.namespace, name)
            if part is None:
                return text
            pieces.append(part["spec"]["data"])
            size += len(pieces[-1])
            if size > (text.size or 0):
                break
        return await asyncio.to_thread(text.joined, "".join(pieces))
