"""The pages: their modules, and the right that each of them takes."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from sympozium_api.resources import INSTANCES
from sympozium_console.pages import instances
from sympozium_console.routes.access import AnyCaller, Need, authorize_need
from sympozium_console.routes.params import authenticate

PAGES = (instances,)
"""Modules with pages, each with a ``router``."""

PAGE_NEEDS: dict[tuple[str, str], Need | AnyCaller] = {
    ("GET", "/"): AnyCaller(),
    ("GET", "/instances"): Need("list", INSTANCES, "list"),
}
"""Needs by method and path, as in ``routes.access.NEEDS``. A page that the table does not have is for tokens of the installation only."""


async def authorize_page(request: Request, _: Annotated[None, Depends(authenticate)]) -> None:
    """Raise Refusal 403 unless the caller has the right that the page takes."""
    await authorize_need(request, PAGE_NEEDS.get((request.method, request.scope["route"].path)))
