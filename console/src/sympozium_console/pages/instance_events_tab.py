"""The tab of Kubernetes' Events about an instance."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sympozium_api.resources import EVENTS, INSTANCES
from sympozium_console import console_context
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.instance_tabs import Namespace, render_tab, stored_instance
from sympozium_console.routes.access import may_see_events
from sympozium_console.routes.params import Name

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)


@router.get("/instances/{namespace}/{name}/events")
async def get_events_tab(request: Request, namespace: Namespace, name: Name) -> Response:
    """Return the Events, the latest first. Kubernetes keeps them for an hour."""
    instance = await stored_instance(request, namespace, name)
    may_see, events = await may_see_events(request, namespace), []
    if may_see:
        selector = f"involvedObject.kind={INSTANCES.kind},involvedObject.name={name}"
        client = console_context.of_request(request).client
        events = await client.list(EVENTS, namespace, fieldSelector=selector)
    latest = sorted(events, key=lambda event: str(event.get("lastTimestamp") or ""), reverse=True)
    return await render_tab(request, "instance_events.html", instance, "events", events=latest, may_see=may_see)
