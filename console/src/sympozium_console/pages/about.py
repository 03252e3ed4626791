"""The page about this console and its caller."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from sympozium_api import names
from sympozium_console import console_context
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.page_query import FormQuery
from sympozium_console.pages.rendering import render
from sympozium_console.routes.console_facts import CallerQuery, rights_in
from sympozium_console.routes.params import ObjectQuery, caller_of

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)


class AboutQuery(FormQuery, CallerQuery):
    """The query of the page."""


@router.get("/about")
async def get_about(request: Request, params: Annotated[AboutQuery, Query()]) -> Response:
    """Return versions, the caller's rights, and how programs get in."""
    context, caller = console_context.of_request(request), caller_of(request)
    namespace = params.namespace or caller.namespace or ObjectQuery().namespace
    return render(
        request,
        "about.html",
        title="About",
        settings=context.settings,
        api_version=names.API_VERSION,
        namespace=namespace,
        may=await rights_in(request, namespace),
    )
