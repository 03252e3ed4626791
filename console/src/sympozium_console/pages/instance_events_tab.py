"""The tab of Kubernetes' Events about an instance."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sympozium_api.resources import INSTANCES
from sympozium_console import console_context
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.instance_tabs import Namespace, render_tab, stored_instance
from sympozium_console.pages.shown_events import ShownEvent, events_about
from sympozium_console.routes.access import may_see_events
from sympozium_console.routes.params import Name

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)


@router.get("/instances/{namespace}/{name}/events")
async def get_events_tab(request: Request, namespace: Namespace, name: Name) -> Response:
    """Return the Events, the latest first. Kubernetes keeps them for an hour."""
    instance = await stored_instance(request, namespace, name)
    may_see, events = await may_see_events(request, namespace), list[ShownEvent]()
    if may_see:
        client = console_context.of_request(request).client
        events = await events_about(client, INSTANCES, namespace, name, instance["metadata"]["uid"])
    return await render_tab(request, "instance_events.html", instance, "events", events=events, may_see=may_see)
