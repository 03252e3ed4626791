"""The page of the SympoziumConfig: the gateway as it is asked for, and as it is."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sympozium_api import names
from sympozium_api.client import ApiError
from sympozium_api.config import SympoziumConfig
from sympozium_api.resources import CONFIGS, Object
from sympozium_console import console_context, preconditions
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.forms import read_form
from sympozium_console.pages.instance_yaml import read_yaml, written
from sympozium_console.pages.page_changes import NO_FAULTS, Faults, begin_page_change, faults_of, precondition_of
from sympozium_console.pages.rendering import render
from sympozium_console.preconditions import Precondition
from sympozium_console.routes.access import may_see, require
from sympozium_http.refusal import Refusal

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

_START: Object = {"gateway": {"enabled": True, "gatewayClassName": "", "baseDomain": ""}}
"""Spec of the form while there is no SympoziumConfig."""


@router.get("/config")
async def get_config_page(request: Request) -> Response:
    """Return the page."""
    return await _page(request)


@router.post("/config")
async def post_config_page(request: Request) -> Response:
    """Create or replace the SympoziumConfig, or only try it."""
    form, context = await read_form(request), console_context.of_request(request)
    is_try, namespace = form.get("do") == "try", context.settings.namespace
    try:
        body = {"spec": await read_yaml(form.get("text", ""))}
        precondition = precondition_of(form) if form.get("tag") else Precondition(absent=True)
        await require(request, "create" if precondition.absent else "update", CONFIGS, namespace)
        if not is_try:
            await begin_page_change(request, "update", CONFIGS, namespace, names.CONFIG, body=body)
        await context.configs.put(namespace, names.CONFIG, body, precondition, dry_run=is_try)
    except (Refusal, ApiError) as error:
        return await _page(request, typed=form, faults=faults_of(error, "spec"))
    return await _page(request, typed=form if is_try else None, outcome="tried" if is_try else "saved")


async def _page(
    request: Request, *, typed: dict[str, str] | None = None, faults: Faults = NO_FAULTS, outcome: str = ""
) -> Response:
    context = console_context.of_request(request)
    namespace = context.settings.namespace
    stored = await context.client.find(CONFIGS, namespace, names.CONFIG)
    verb = "update" if stored else "create"
    may_change = await may_see(request, verb, CONFIGS, namespace)
    current = await written(stored["spec"] if stored else _START)
    return render(
        request,
        "config.html",
        status=faults.status,
        title="Gateway",
        config=SympoziumConfig.model_validate(stored) if stored else None,
        text=current if typed is None else typed.get("text", ""),
        base=current if typed is None else typed.get("base", ""),
        theirs=current if faults.is_conflict else "",
        tag=preconditions.entity_tag(stored) if stored else "",
        namespace=namespace,
        may_not_change=""
        if may_change
        else f"This takes the right to {verb} sympoziumconfigs.sympozium.ai in namespace {namespace}.",
        faults=faults,
        outcome=outcome,
    )
