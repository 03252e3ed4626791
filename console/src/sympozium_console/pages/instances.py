"""The list of instances."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.instance_rows import InstanceRow
from sympozium_console.pages.page_query import FormQuery
from sympozium_console.pages.rendering import render
from sympozium_console.routes.access import visible
from sympozium_console.routes.instances import InstancePageQuery, filtered_instances


class InstancesQuery(FormQuery, InstancePageQuery):
    """The query of the list."""


router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)


@router.get("/instances")
async def get_instances(request: Request, params: Annotated[InstancesQuery, Query()]) -> Response:
    """Return one page of instances, by namespace and name."""
    page = filtered_instances(request, params)
    return render(
        request,
        "instances.html",
        title="Instances",
        rows=[InstanceRow.of(item) for item in page.items],
        next_page=page.next_page,
        remaining=page.remaining or 0,
        params=params,
        namespaces=visible(request).namespaces,
    )
