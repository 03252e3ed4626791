"""The tabs of an instance's page, in their order, and what all of them show."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.responses import HTMLResponse
from pydantic import ValidationError

from sympozium_api.client import ApiError
from sympozium_api.instance import SympoziumInstance
from sympozium_api.names import DNS_LABEL
from sympozium_api.resources import INSTANCES, Object
from sympozium_console import console_context, preconditions, refusals
from sympozium_console.pages import text_filters
from sympozium_console.pages.instance_rows import InstanceRow
from sympozium_console.pages.rendering import render
from sympozium_console.routes.access import may_see
from sympozium_http.refusal import Refusal

Namespace = Annotated[str, Path(max_length=63, pattern=f"^{DNS_LABEL}$")]


@dataclass(frozen=True)
class Tab:
    """A tab."""

    title: str
    path: str
    """Last part of its address."""


TABS = (
    Tab("Overview", "overview"),
    Tab("Chat", "chat"),
    Tab("Runs", "runs"),
    Tab("Web endpoint", "web-endpoint"),
    Tab("Skills", "skills"),
    Tab("Warm pool", "pool"),
    Tab("Events", "events"),
    Tab("YAML", "yaml"),
)


async def stored_instance(request: Request, namespace: str, name: str) -> Object:
    """Return an instance. Raises Refusal 410 for one that is gone, ApiError and ApiUnavailable."""
    context = console_context.of_request(request)
    try:
        return await context.instances.get(namespace, name)
    except ApiError as error:
        removed_at = context.feed.instances.removed_at((namespace, name)) if error.not_found else None
        if removed_at is None:
            raise
        passed = text_filters.age(removed_at, context.clock.now().timestamp())
        since = "just now" if passed == "now" else f"{passed} ago"
        raise Refusal(410, "Gone", f"The instance {name} in namespace {namespace} was deleted {since}.") from error


def readable(instance: Object) -> SympoziumInstance:
    """Return an instance with its fields. Raises Refusal 409 for one that this version cannot read."""
    try:
        return SympoziumInstance.model_validate(instance)
    except ValidationError as error:
        message = f"{InstanceRow.of(instance).reason}. Its YAML is what Kubernetes has."
        raise refusals.conflict(message, reason="InstanceUnreadable") from error


async def render_tab(
    request: Request, template: str, instance: Object, tab: str, *, status: int = 200, **context: Any
) -> HTMLResponse:
    """Return a tab's page. Its template has also ``row``, ``instance``, ``tag`` (the entity tag) and ``may_not_change``, a sentence for
    a caller who may not patch the instance, else empty.
    """
    row = InstanceRow.of(instance)
    may_change = await may_see(request, "patch", INSTANCES, row.namespace)
    right = f"This takes the right to patch sympoziuminstances.sympozium.ai in namespace {row.namespace}."
    return render(
        request,
        template,
        status=status,
        title=f"{row.name} · {next(one.title for one in TABS if one.path == tab)}",
        tabs=TABS,
        tab=tab,
        row=row,
        instance=instance,
        tag=preconditions.entity_tag(instance),
        may_not_change="" if may_change else right,
        **context,
    )
