"""The overview of an instance, its warm pool, and what all its sections with plain fields have in common; its deletion."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from sympozium_api.client import ApiError
from sympozium_api.resources import INSTANCES
from sympozium_console import console_context
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.form_conflicts import FormState
from sympozium_console.pages.forms import read_form
from sympozium_console.pages.instance_fields import AGENT_FIELDS, LIMIT_FIELDS, POOL_FIELDS
from sympozium_console.pages.instance_tabs import Namespace, readable, render_tab, stored_instance
from sympozium_console.pages.page_changes import (
    NO_FAULTS,
    Faults,
    begin_page_change,
    faults_of,
    patch_instance,
)
from sympozium_console.pages.spec_fields import SpecField, patch_of, values_of, without_unchanged
from sympozium_console.preconditions import Precondition
from sympozium_console.routes.access import may_see
from sympozium_console.routes.params import Name
from sympozium_http.refusal import Refusal

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

_SECTIONS = {"overview": AGENT_FIELDS + LIMIT_FIELDS, "pool": POOL_FIELDS}
_TEMPLATES = {"overview": "instance_overview.html", "pool": "instance_pool.html"}


@router.get("/instances/{namespace}/{name}")
async def get_instance_page(namespace: Namespace, name: Name) -> Response:
    """Lead to the overview."""
    return RedirectResponse(f"/instances/{namespace}/{name}/overview", status_code=303)


@router.get("/instances/{namespace}/{name}/overview")
async def get_instance_overview(request: Request, namespace: Namespace, name: Name) -> Response:
    """Return the overview."""
    return await _page(request, namespace, name, "overview")


@router.get("/instances/{namespace}/{name}/pool")
async def get_instance_pool(request: Request, namespace: Namespace, name: Name) -> Response:
    """Return the warm pool."""
    return await _page(request, namespace, name, "pool")


@router.post("/instances/{namespace}/{name}/overview")
async def post_instance_overview(request: Request, namespace: Namespace, name: Name) -> Response:
    """Change fields of the overview."""
    return await _save(request, namespace, name, "overview")


@router.post("/instances/{namespace}/{name}/pool")
async def post_instance_pool(request: Request, namespace: Namespace, name: Name) -> Response:
    """Change the warm pool."""
    return await _save(request, namespace, name, "pool")


@router.post("/instances/{namespace}/{name}/delete")
async def post_instance_deletion(request: Request, namespace: Namespace, name: Name) -> Response:
    """Delete the instance, if its name was typed."""
    form, context = await read_form(request), console_context.of_request(request)
    if form.get("confirmed") != name:
        fault = f"Type the instance's name, {name}, to delete it."
        return await _page(request, namespace, name, "overview", faults=Faults(fault, {"confirmed": fault}, 422))
    await begin_page_change(request, "delete", INSTANCES, namespace, name)
    if context.archiver is None:
        await context.instances.delete(namespace, name, Precondition())
    else:
        await context.archiver.instances.request(namespace, name, Precondition())
    return RedirectResponse(f"/instances?namespace={namespace}", status_code=303)


async def _save(request: Request, namespace: str, name: str, tab: str) -> Response:
    form, fields = await read_form(request), _SECTIONS[tab]
    instance = await stored_instance(request, namespace, name)
    patch = without_unchanged(patch_of(form, fields), instance["spec"])
    try:
        line = await patch_instance(request, namespace, name, patch, form) if patch else ""
    except (Refusal, ApiError) as error:
        return await _page(request, namespace, name, tab, faults=faults_of(error, "spec"), typed=form)
    return await _page(request, namespace, name, tab, saved=line)


async def _page(
    request: Request,
    namespace: str,
    name: str,
    tab: str,
    *,
    faults: Faults = NO_FAULTS,
    typed: dict[str, str] | None = None,
    saved: str | None = None,
) -> Response:
    instance = await stored_instance(request, namespace, name)
    fields: Sequence[SpecField] = _SECTIONS[tab]
    form = FormState.of(values_of(instance["spec"], fields), typed, faults, fields)
    return await render_tab(
        request,
        _TEMPLATES[tab],
        instance,
        tab,
        status=faults.status,
        typed_instance=readable(instance),
        sections={"agent": AGENT_FIELDS, "limits": LIMIT_FIELDS, "pool": POOL_FIELDS},
        form=form,
        values=form.values,
        faults=faults,
        saved=saved,
        may_delete=await may_see(request, "delete", INSTANCES, namespace),
    )
