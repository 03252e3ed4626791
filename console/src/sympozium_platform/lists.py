"""Lists: arrays, newest first, whose number of entries in all is in the header x-total-count."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

TOTAL = "x-total-count"
_LIST = TypeAdapter(list[BaseModel])


class NoQuery(BaseModel):
    """The query of a route without parameters."""

    model_config = ConfigDict(extra="forbid")


class ListQuery(NoQuery):
    """The query of one page of a list."""

    limit: Annotated[int, Field(ge=1, le=200, description="Maximum number of entries.")] = 50
    offset: Annotated[int, Field(ge=0, le=1_000_000, description="Number of newer entries to leave out.")] = 0


NoParams = Annotated[NoQuery, Query()]
ListParams = Annotated[ListQuery, Query()]


def listed(items: Sequence[BaseModel], total: int) -> Response:
    """Return one page of a list that has ``total`` entries in all."""
    return _answer(_LIST.dump_json(list(items), serialize_as_any=True), total)


def listed_texts(items: Iterable[bytes], total: int) -> Response:
    """Return one page of a list whose entries are JSON already, because the request counts the bytes of each."""
    return _answer(b"[" + b",".join(items) + b"]", total)


def _answer(content: bytes, total: int) -> Response:
    return Response(content, media_type="application/json", headers={TOTAL: str(total)})
