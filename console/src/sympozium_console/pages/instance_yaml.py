"""The tab with an instance's YAML, to be read and to be changed, with a try before the change and with what others have changed."""

import asyncio
import copy
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from sympozium_api.client import ApiError
from sympozium_api.resources import INSTANCES, Object
from sympozium_console import console_context, yaml_documents
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.forms import read_form
from sympozium_console.pages.instance_tabs import Namespace, render_tab, stored_instance
from sympozium_console.pages.page_changes import NO_FAULTS, Faults, begin_page_change, faults_of, precondition_of
from sympozium_console.pages.page_query import FormQuery
from sympozium_console.routes.access import require
from sympozium_console.routes.params import Name
from sympozium_console.yaml_documents import InvalidYaml
from sympozium_http.refusal import Refusal

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

_MASK = "••••••"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation that has the object as ``kubectl apply`` sent it."""
_IDENTITY: Object = {"apiVersion": INSTANCES.api_version, "kind": INSTANCES.kind}
_UNSENT = ("uid", "resourceVersion", "generation", "creationTimestamp")
"""Metadata that belongs to Kubernetes, and is not in what is edited."""


class YamlQuery(FormQuery, BaseModel):
    """The query of the tab."""

    edit: bool = False
    """True: to be edited, with the values of ``env`` and headers, which are masked else."""


@router.get("/instances/{namespace}/{name}/yaml")
async def get_yaml_tab(
    request: Request, namespace: Namespace, name: Name, params: Annotated[YamlQuery, Query()]
) -> Response:
    """Return the YAML."""
    instance = await stored_instance(request, namespace, name)
    if params.edit:
        await require(request, "update", INSTANCES, namespace)
        text = await written(editable(instance))
        return await _editor(request, instance, text, text)
    return await render_tab(
        request, "instance_yaml.html", instance, "yaml", text=await written(_IDENTITY | masked(instance))
    )


@router.post("/instances/{namespace}/{name}/yaml")
async def post_yaml_tab(request: Request, namespace: Namespace, name: Name) -> Response:
    """Replace the instance, or only try it."""
    form = await read_form(request)
    text, is_try = form.get("text", ""), form.get("do") == "try"
    try:
        body = await read_yaml(text)
        if not is_try:
            await begin_page_change(request, "update", INSTANCES, namespace, name, body=body)
        instances = console_context.of_request(request).instances
        stored, _ = await instances.put(namespace, name, body, precondition_of(form), dry_run=is_try)
    except (Refusal, ApiError) as error:
        faults, instance = faults_of(error, "spec"), await stored_instance(request, namespace, name)
        theirs = await written(editable(instance)) if faults.is_conflict else ""
        return await _editor(request, instance, text, form.get("base", ""), faults=faults, theirs=theirs)
    if is_try:
        instance = await stored_instance(request, namespace, name)
        return await _editor(request, instance, text, form.get("base", ""), tried=True)
    return await render_tab(
        request, "instance_yaml.html", stored, "yaml", text=await written(_IDENTITY | masked(stored)), saved=True
    )


async def _editor(
    request: Request,
    instance: Object,
    text: str,
    base: str,
    *,
    faults: Faults = NO_FAULTS,
    theirs: str = "",
    tried: bool = False,
) -> Response:
    return await render_tab(
        request,
        "instance_yaml_edit.html",
        instance,
        "yaml",
        status=faults.status,
        text=text,
        base=base,
        theirs=theirs,
        faults=faults,
        tried=tried,
    )


async def written(body: Object) -> str:
    """Return an object as YAML."""
    return (await asyncio.to_thread(yaml_documents.dump, body)).decode()


async def read_yaml(text: str) -> Object:
    """Return the object of a text. Raises Refusal 400, which says where it cannot be read."""
    try:
        body = await asyncio.to_thread(yaml_documents.load, text.encode())
    except InvalidYaml as error:
        raise Refusal(400, "BadRequest", f"The YAML cannot be read: {error}.") from error
    if not isinstance(body, dict):
        raise Refusal(400, "BadRequest", "The YAML is not an object with keys and values.")
    return body


def editable(instance: Object) -> Object:
    """Return what a person changes of an instance: all but its status and what Kubernetes writes. Pure."""
    metadata = {name: value for name, value in instance["metadata"].items() if name not in _UNSENT}
    return {**_IDENTITY, "metadata": metadata, "spec": instance["spec"]}


def masked(body: Object) -> Object:
    """Return an instance or a SkillPack whose environment and headers have no values, nor what was applied last. Pure."""
    shown = copy.deepcopy(body)
    agent = (shown["spec"].get("agents") or {}).get("default") or {}
    for holder in (agent, shown["spec"].get("sidecar") or {}):
        for name in ("env", "providerHeaders"):
            if holder.get(name):
                holder[name] = dict.fromkeys(holder[name], _MASK)
    annotations = shown["metadata"].get("annotations") or {}
    if _LAST_APPLIED in annotations:
        annotations[_LAST_APPLIED] = _MASK
    return shown
