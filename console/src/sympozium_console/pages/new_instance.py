"""The form that makes an instance, beside the YAML that it makes."""

import re
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from sympozium_api.client import ApiError
from sympozium_api.names import DNS_LABEL
from sympozium_api.resources import INSTANCES, Object
from sympozium_console import console_context
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.forms import read_form
from sympozium_console.pages.instance_fields import NEW_INSTANCE_FIELDS
from sympozium_console.pages.instance_yaml import written
from sympozium_console.pages.page_changes import NO_FAULTS, Faults, begin_page_change, faults_of
from sympozium_console.pages.rendering import render
from sympozium_console.pages.spec_fields import patch_of
from sympozium_console.preconditions import Precondition
from sympozium_console.routes.access import require
from sympozium_console.routes.params import caller_of
from sympozium_http.refusal import Refusal

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

_EXISTS = "There is an instance of this name already."


@router.get("/instances/new")
async def get_new_instance(request: Request) -> Response:
    """Return the empty form."""
    return await _form(request, {"provider": "openai", "enabled": "on"})


@router.post("/instances/new")
async def post_new_instance(request: Request) -> Response:
    """Create the instance, or only try it and show its YAML."""
    form = await read_form(request)
    namespace, name = form.get("namespace", "").strip(), form.get("name", "").strip()
    is_try, body = form.get("do") != "create", instance_of(form)
    faults = _missing(form)
    if not faults.fields:
        await require(request, "create", INSTANCES, namespace)
        try:
            if not is_try:
                await begin_page_change(request, "create", INSTANCES, namespace, name, body=body)
            instances = console_context.of_request(request).instances
            await instances.put(namespace, name, body, Precondition(absent=True), dry_run=is_try)
        except (Refusal, ApiError) as error:
            faults = faults_of(error, "spec")
            if faults.is_conflict:
                faults = Faults(_EXISTS, {"name": _EXISTS}, 409)
        else:
            if not is_try:
                return RedirectResponse(f"/instances/{namespace}/{name}/overview", status_code=303)
    if is_try:  # what is not filled in yet is no fault
        faults = Faults("", {path: fault for path, fault in faults.fields.items() if form.get(path)})
    return await _form(request, form, faults=faults)


def instance_of(form: Mapping[str, str]) -> Object:
    """Return the instance that a form describes. Pure."""
    spec = _filled(patch_of(form, NEW_INSTANCE_FIELDS))
    if secret := form.get("secret", "").strip():
        spec["authRefs"] = [{"provider": form.get("provider", "").strip() or "openai", "secret": secret}]
    if form.get("enabled") == "on":
        spec["webEndpoint"] = {"enabled": True}
    metadata = {"name": form.get("name", "").strip(), "namespace": form.get("namespace", "").strip()}
    return {"apiVersion": INSTANCES.api_version, "kind": INSTANCES.kind, "metadata": metadata, "spec": spec}


def _filled(patch: Object) -> Object:
    """Return a patch without what is not set."""
    left: Object = {}
    for name, value in patch.items():
        if isinstance(value, dict):
            if part := _filled(value):
                left[name] = part
        elif value is not None:
            left[name] = value
    return left


def _missing(form: Mapping[str, str]) -> Faults:
    needed = {"namespace": "Namespace", "name": "Name", "agents.default.model": "Model"}
    fields = {path: f"{label} is needed." for path, label in needed.items() if not form.get(path, "").strip()}
    for path in ("namespace", "name"):
        text = form.get(path, "").strip()
        if text and not re.fullmatch(DNS_LABEL, text):
            fields[path] = "Use a-z, 0-9 and -, beginning and ending with a letter or a digit."
    return Faults("Some fields are not right.", fields, 422) if fields else NO_FAULTS


async def _form(request: Request, form: Mapping[str, str], *, faults: Faults = NO_FAULTS) -> Response:
    rights = console_context.of_request(request).callers.rights
    namespaces = await rights.namespaces_of_any(caller_of(request), "create", INSTANCES)
    namespace = form.get("namespace") or next(iter(namespaces), "")
    if "default" in namespaces and not form.get("namespace"):
        namespace = "default"
    return render(
        request,
        "new_instance.html",
        status=faults.status,
        title="New instance",
        spec_fields=NEW_INSTANCE_FIELDS,
        form={"name": "", "secret": "", "provider": "", "enabled": "", **form},
        namespaces=namespaces,
        namespace=namespace,
        faults=faults,
        text=await written(instance_of({**form, "namespace": namespace})),
    )
