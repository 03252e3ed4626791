"""The parts that the archive's routes share: their query, the archive, and their answers."""

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Request, Response
from pydantic import Field
from starlette.responses import StreamingResponse

from sympozium_api.base import ApiModel
from sympozium_archive.database import Database
from sympozium_archive.run_contents import StoredContent
from sympozium_console import console_context, refusals
from sympozium_console.routes.params import ListQuery, Moment, Text


class ArchiveQuery(ListQuery):
    """The query of one page of the archive, newest first."""

    user: Annotated[Text, Field(description="Only those of this user.")] = None
    from_: Annotated[Moment | None, Field(alias="from", description="Only those from this time on (RFC 3339).")] = None
    to: Annotated[Moment | None, Field(description="Only those before this time (RFC 3339).")] = None
    limit: Annotated[int, Field(ge=1, le=500, description="Maximum number of entries in the page.")] = 50
    offset: Annotated[int, Field(ge=0, le=1_000_000, description="Number of newer entries to leave out.")] = 0


def archive_of(request: Request) -> Database:
    """Return the archive. Raises Refusal 404 at a console without one."""
    context = console_context.of_request(request)
    if context.settings.archive is None:
        raise refusals.archive_disabled()
    return context.database


def answer(model: ApiModel) -> Response:
    """Return a model as JSON in ASCII, because the content of a run may have halves of surrogate pairs."""
    return Response(_json_of(model), media_type="application/json")


def answer_with(model: ApiModel, name: str, content: StoredContent) -> Response:
    """Return a model, which has the field ``name`` not yet, as JSON with a content, which is sent piece by piece."""
    head = f"{_json_of(model)[:-1]},{json.dumps(name)}:".encode("ascii")

    async def pieces() -> AsyncIterator[bytes]:
        yield head
        async for piece in content.pieces:
            yield piece
        yield b"}"

    length = {"content-length": str(len(head) + content.size + 1)}
    return StreamingResponse(pieces(), headers=length, media_type="application/json")


def _json_of(model: ApiModel) -> str:
    return json.dumps(model.model_dump(mode="json", by_alias=True), separators=(",", ":"))
