"""The tab of an instance's web endpoint: the switch, its values, and how to call it."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sympozium_api import effective
from sympozium_api.client import ApiError
from sympozium_api.names import WEB_ENDPOINT_SKILL
from sympozium_api.resources import INSTANCES, Object
from sympozium_api.web_endpoint_switch import switched
from sympozium_console import console_context, web_endpoint_body
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.form_conflicts import FormState
from sympozium_console.pages.forms import read_form
from sympozium_console.pages.instance_tabs import Namespace, readable, render_tab, stored_instance
from sympozium_console.pages.page_changes import (
    NO_FAULTS,
    Faults,
    begin_page_change,
    faults_of,
    kubectl_patch,
    merge_patch,
    precondition_of,
)
from sympozium_console.pages.spec_fields import SpecField, patch_of, value_at, values_of, without_unchanged
from sympozium_console.routes.params import Name
from sympozium_http.refusal import Refusal

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

FIELDS = (
    SpecField("rateLimit.requestsPerMinute", "Requests per minute", "number", "Of each API key.", "60"),
    SpecField("rateLimit.burstSize", "Requests at once", "number", "Of each API key.", "10"),
    SpecField("hostname", "Host name", description="At the gateway.", default="<instance>.<base domain>"),
    SpecField("replicas", "Replicas", "number", "Of the web-proxy.", "1"),
    SpecField(
        "authSecretRef",
        "Secret with API keys",
        description="Each of its entries that begins with api-key is valid.",
        default="a generated one",
    ),
    SpecField("maxBodyBytes", "Largest request", "number", "Bytes of a body.", "the installation's"),
    SpecField(
        "allowedOrigins",
        "Allowed origins",
        "lines",
        "Web pages that may call it, one a line, as https://chat.example.com.",
    ),
    SpecField("allowedHosts", "Allowed hosts", "lines", "Values of Host for MCP, one a line.", "any"),
)
OAUTH_FIELDS = (
    SpecField(
        "oauth.issuer", "Issuer", description="URL (https), exactly as in the claim iss.", default="API keys alone"
    ),
    SpecField("oauth.audiences", "Audiences", "lines", "One of them has to be in the claim aud, one a line."),
    SpecField("oauth.requiredScopes", "Required scopes", "lines", "All of them, one a line."),
    SpecField("oauth.jwksURI", "URL of the issuer's keys", default="the one in its metadata"),
    SpecField(
        "oauth.certificateAuthority",
        "Certificate authorities",
        "area",
        "PEM, which verifies the issuer's certificate.",
        "the public ones",
    ),
)
_ALL_FIELDS = FIELDS + OAUTH_FIELDS
_PARAMS = {
    "rate_limit_rpm": "rateLimit.requestsPerMinute",
    "rate_limit_burst": "rateLimit.burstSize",
    "hostname": "hostname",
    "auth_secret_ref": "authSecretRef",
}
"""Params of the skill that win over fields."""
_UNDER = "spec.webEndpoint"


@router.get("/instances/{namespace}/{name}/web-endpoint")
async def get_web_endpoint_tab(request: Request, namespace: Namespace, name: Name) -> Response:
    """Return the tab."""
    return await _page(request, namespace, name)


@router.post("/instances/{namespace}/{name}/web-endpoint")
async def post_web_endpoint_tab(request: Request, namespace: Namespace, name: Name) -> Response:
    """Switch the web endpoint, with its values, as ``PUT /api/v1/instances/{name}/web-endpoint`` does."""
    form = await read_form(request)
    before = await stored_instance(request, namespace, name)
    enabled = form.get("enabled") == "on"
    shown, typed = (
        patch_of(values_of(_endpoint_values(before["spec"]), _ALL_FIELDS), _ALL_FIELDS),
        patch_of(form, _ALL_FIELDS),
    )
    body = without_unchanged(typed, shown) | {"enabled": enabled}
    if "oauth" in body and not any(typed["oauth"].values()):
        body["oauth"] = None  # an issuer without values is none
    try:
        enabled, values = web_endpoint_body.parse(body)
        await begin_page_change(request, "update", INSTANCES, namespace, name, body={"spec": {"webEndpoint": body}})
        await console_context.of_request(request).instances.switch_web_endpoint(
            namespace, name, enabled=enabled, values=values, precondition=precondition_of(form)
        )
    except (Refusal, ApiError) as error:
        faults = faults_of(error, _UNDER)
        return await _page(request, namespace, name, faults=faults, typed=form, enabled=enabled)
    patch = merge_patch(before["spec"], switched(before["spec"], enabled=enabled, values=values))
    return await _page(
        request, namespace, name, saved=kubectl_patch(INSTANCES, namespace, name, patch) if patch else ""
    )


async def _page(
    request: Request,
    namespace: str,
    name: str,
    *,
    faults: Faults = NO_FAULTS,
    typed: dict[str, str] | None = None,
    enabled: bool | None = None,
    saved: str | None = None,
) -> Response:
    instance = await stored_instance(request, namespace, name)
    form = FormState.of(values_of(_endpoint_values(instance["spec"]), _ALL_FIELDS), typed, faults, _ALL_FIELDS)
    typed_instance = readable(instance)
    is_on = effective.web_endpoint_is_on(typed_instance)
    other_way = merge_patch(instance["spec"], switched(instance["spec"], enabled=not is_on))
    return await render_tab(
        request,
        "instance_web_endpoint.html",
        instance,
        "web-endpoint",
        status=faults.status,
        endpoint_fields=FIELDS,
        oauth_fields=OAUTH_FIELDS,
        form=form,
        values=form.values,
        from_params=_from_params(instance["spec"]),
        is_on=is_on,
        asked=is_on if enabled is None else enabled,
        endpoint=typed_instance.status.web_endpoint,
        conditions=typed_instance.status.conditions,
        autoscaling=typed_instance.spec.web_endpoint.autoscaling,
        faults=faults,
        saved=saved,
        other_way=kubectl_patch(INSTANCES, namespace, name, other_way),
    )


def _endpoint_values(spec: Object) -> Object:
    """Return the values that count: those of the field, under those of the skill's params."""
    values = patch_of(values_of(spec.get("webEndpoint") or {}, _ALL_FIELDS), _ALL_FIELDS)
    for param, path in _PARAMS.items():
        text = _skill_params(spec).get(param)
        if text:
            *parents, last = path.split(".")
            part = values
            for parent in parents:
                part = part.setdefault(parent, {})
            part[last] = text
    return values


def _from_params(spec: Object) -> dict[str, str]:
    """Return the params that win, by the path of the field that they win over."""
    params = _skill_params(spec)
    return {path: param for param, path in _PARAMS.items() if params.get(param)}


def _skill_params(spec: Object) -> dict[str, Any]:
    skills = value_at(spec, "skills") or ()
    found: Object = next((skill for skill in skills if skill.get("skillPackRef") == WEB_ENDPOINT_SKILL), {})
    return found.get("params") or {}
