"""Texts that are longer than an AgentRun holds, kept in AgentRunParts that the run owns (decision 0053)."""

import asyncio
import sys
from collections.abc import Mapping

from sympozium_api import names, run_part
from sympozium_api.client import ApiError, Client
from sympozium_api.json_text import JsonText, StoredText
from sympozium_api.resources import RUN_PARTS
from sympozium_api.run import AgentRun
from sympozium_api.run_status import MAX_RESULT_BYTES, RunStatus

Texts = Mapping[str, StoredText]
"""Texts of a run by their name in an AgentRunPart: ``request``, ``response``, ``answer``."""

_WRITES_AT_ONCE = 4
"""Parts that are written at the same time: each holds a megabyte, twice while it is encoded."""


class RunParts:
    """The AgentRunParts in the cluster. Every method may raise ApiError and ApiUnavailable."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._writers = asyncio.Semaphore(_WRITES_AT_ONCE)

    async def write(self, run: AgentRun, texts: Texts) -> None:
        """Create the parts of a run's texts. A part that exists holds the same data, because its name has the text's digest."""
        writes = [
            self._create(run, name, text.field["sha256"], index, data)
            for name, text in texts.items()
            for index, data in enumerate(text.parts)
        ]
        for result in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def complete(self, run: AgentRun, texts: Texts) -> None:
        """Create those parts of a run's texts that are missing, because its web-proxy ended before it had written them."""
        for name, text in texts.items():
            for index, data in enumerate(text.parts):
                if not await self._has_part(run, text.field["sha256"], index):
                    await self._create(run, name, text.field["sha256"], index, data)

    async def has_question(self, run: AgentRun) -> bool:
        """Return whether all parts of a run's question are there."""
        texts = [text for text in (run.spec.request_text, run.spec.response_text) if text is not None]
        parts = [(text.sha256 or "", index) for text in texts for index in range(text.parts or 0)]
        return all([await self._has_part(run, sha256, index) for sha256, index in parts])

    async def with_question(self, run: AgentRun) -> AgentRun:
        """Return a run with the texts of its spec that are in parts. A text of which a part is missing stays in parts."""
        request, response = run.spec.request_text, run.spec.response_text
        texts = {
            "request_text": await self._read(run, request) if request and request.parts else request,
            "response_text": await self._read(run, response) if response and response.parts else response,
        }
        return run.model_copy(update={"spec": run.spec.model_copy(update=texts)})

    async def with_answer(self, run: AgentRun, answer: JsonText) -> AgentRun:
        """Return a run with its answer, which is in parts. An answer of which a part is missing stays in parts."""
        read = await self._read(run, answer)
        return run.model_copy(update={"status": run.status.model_copy(update={"answer": read})})

    async def _read(self, run: AgentRun, text: JsonText) -> JsonText:
        """Return a text that is in parts as ``json``. No more parts are read than ``bytes`` allows."""
        data, size = list[str](), 0
        for index in range(text.parts or 0):
            name = _name(run, text.sha256 or "", index)
            part = await self._client.find(RUN_PARTS, run.metadata.namespace, name)
            if part is None:
                return text
            data.append(part["spec"]["data"])
            size += len(data[-1])
            if size > (text.size or 0):
                break
        return await asyncio.to_thread(text.joined, "".join(data))

    async def _has_part(self, run: AgentRun, sha256: str, index: int) -> bool:
        name = _name(run, sha256, index)
        return await self._client.find_metadata(RUN_PARTS, run.metadata.namespace, name) is not None

    async def _create(self, run: AgentRun, text: str, sha256: str, index: int, data: str) -> None:
        async with self._writers:
            body = run_part.manifest(run, text, sha256, index, data)
            try:
                await self._client.create(RUN_PARTS, run.metadata.namespace, body, metadata_only=True)
            except ApiError as error:
                if not error.already_exists:
                    raise


def has_texts(run: AgentRun, texts: Texts) -> bool:
    """Return whether the texts of a run's question that are in parts are these, byte for byte."""
    own = {"request": run.spec.request_text, "response": run.spec.response_text}
    in_parts = {name: text.sha256 for name, text in own.items() if text is not None and text.parts is not None}
    return in_parts == {name: text.field["sha256"] for name, text in texts.items() if text.parts}


def with_texts(run: AgentRun, texts: Texts) -> AgentRun:
    """Return a run with the texts that this process has just made, instead of those in parts."""
    spec = run.spec
    parts = {
        f"{name}_text": JsonText.model_validate(text.field).made_here("".join(text.parts))
        for name, text in texts.items()
        if text.parts
    }
    return run.model_copy(update={"spec": spec.model_copy(update=parts)}) if parts else run


def question_bytes(run: AgentRun) -> int:
    """Return the bytes of the texts of a run's question that are in parts."""
    return _bytes_in_parts(run.spec.request_text) + _bytes_in_parts(run.spec.response_text)


def answer_bytes(run: AgentRun) -> int:
    """Return the bytes of the text of a run's answer if that is in parts, else 0."""
    return _bytes_in_parts(run.status.answer)


def _bytes_in_parts(text: JsonText | None) -> int:
    return (text.size or 0) if text is not None and text.parts is not None else 0


def answer_size(status: RunStatus) -> int | None:
    """Return the bytes of memory that the text of a long answer takes, once it is read; None for another answer."""
    text = status.answer.text if status.answer else None
    return None if text is None or len(text) <= MAX_RESULT_BYTES else sys.getsizeof(text)


def _name(run: AgentRun, sha256: str, index: int) -> str:
    return names.run_part(run.spec.agent_ref, run.metadata.uid, sha256, index)
