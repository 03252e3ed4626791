"""Lists: arrays, newest first, whose number of entries in all is in the header x-total-count."""

from collections.abc import Sequence
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
    content = _LIST.dump_json(list(items), serialize_as_any=True)
    return Response(content, media_type="application/json", headers={TOTAL: str(total)})
