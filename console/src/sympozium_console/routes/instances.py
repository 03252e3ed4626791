"""Routes of instances and of their web endpoints."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from sympozium_api.client.collection import Collection
from sympozium_api.instance import Phase, SympoziumInstance
from sympozium_api.names import DNS_LABEL
from sympozium_api.resources import INSTANCES, Object
from sympozium_console import console_context, openapi_models, preconditions, refusals
from sympozium_console.change_feed.known_objects import InstanceFilter
from sympozium_console.routes.access import visible
from sympozium_console.routes.params import (
    REFUSALS,
    Name,
    ObjectParams,
    PageQuery,
    Text,
    WriteParams,
    authenticate,
    json_object,
)
from sympozium_domain import object_pages

router = APIRouter(tags=["instances"], dependencies=[Depends(authenticate)], responses=REFUSALS)


def _with_entity_tag(instance: Object, status: int = 200) -> JSONResponse:
    return JSONResponse(instance, status_code=status, headers={"ETag": preconditions.entity_tag(instance)})


_CURSOR = rf"^{DNS_LABEL}/[a-z][-a-z0-9]*$"


class InstancePageQuery(PageQuery):
    """The query of one page of instances."""

    phase: Annotated[Phase | None, Field(description="Only instances in this phase.")] = None
    q: Annotated[Text, Field(description="Only instances with this in their name or title, in any case.")] = None
    web_endpoint: Annotated[
        Literal["on", "off"] | None,
        Field(alias="webEndpoint", description="Only instances whose web endpoint is switched on, or off."),
    ] = None

    @property
    def is_filtered(self) -> bool:
        """Return True if not all instances are asked for."""
        return (self.phase, self.q, self.web_endpoint) != (None, None, None)


def filtered_instances(request: Request, params: InstancePageQuery) -> Collection:
    """Return one page of the instances that the parameters select, as the feed knows them."""
    context, seen = console_context.of_request(request), visible(request)
    if params.continue_ and not re.fullmatch(_CURSOR, params.continue_):
        raise refusals.bad_field("continue", "is not metadata.continue of a page with these parameters")
    context.feed.require_instances()
    wanted = InstanceFilter(
        namespaces=seen.as_set,
        phase=params.phase,
        q=params.q,
        web_endpoint=None if params.web_endpoint is None else params.web_endpoint == "on",
    )
    return context.feed.instances.page(wanted, limit=params.limit, after=params.continue_)


@router.get("/api/v1/instances", response_model=openapi_models.InstanceList)
async def list_instances(request: Request, params: Annotated[InstancePageQuery, Query()]) -> Response:
    """Return one page of instances, ordered by namespace and name."""
    instances, seen = console_context.of_request(request).instances, visible(request)
    if params.is_filtered:
        page = filtered_instances(request, params)
    elif seen.namespaces is None:
        page = await instances.page(seen.namespace, limit=params.limit, after=params.continue_)
    else:
        page = await object_pages.page_of_namespaces(
            seen.namespaces, instances.page_in, limit=params.limit, after=params.continue_
        )
    return JSONResponse(object_pages.list_body(INSTANCES, page))


@router.get("/api/v1/instances/{name}", response_model=SympoziumInstance)
async def get_instance(request: Request, name: Name, params: ObjectParams) -> Response:
    """Return an instance; the generation of its spec is the entity tag."""
    return _with_entity_tag(await console_context.of_request(request).instances.get(params.namespace, name))


@router.put(
    "/api/v1/instances/{name}",
    response_model=SympoziumInstance,
    responses={201: {"model": SympoziumInstance, "description": "Created."}},
    openapi_extra=openapi_models.INSTANCE_BODY,
)
async def put_instance(request: Request, name: Name, params: WriteParams) -> Response:
    """Create or replace an instance."""
    precondition = preconditions.of_headers(request.headers)
    body = await json_object(request)
    instances = console_context.of_request(request).instances
    instance, new = await instances.put(params.namespace, name, body, precondition, dry_run=params.is_dry_run)
    return _with_entity_tag(instance, 201 if new else 200)


@router.patch("/api/v1/instances/{name}", response_model=SympoziumInstance, openapi_extra=openapi_models.PATCH_BODY)
async def patch_instance(request: Request, name: Name, params: WriteParams) -> Response:
    """Change fields of an instance's spec."""
    precondition = preconditions.of_headers(request.headers)
    fields = await json_object(request)
    instances = console_context.of_request(request).instances
    instance = await instances.patch(params.namespace, name, fields, precondition, dry_run=params.is_dry_run)
    return _with_entity_tag(instance)


@router.delete(
    "/api/v1/instances/{name}",
    status_code=204,
    responses={202: {"model": SympoziumInstance, "description": "Its runs are archived first. Repeat the request."}},
)
async def delete_instance(request: Request, name: Name, params: WriteParams) -> Response:
    """Delete an instance and everything that belongs to it. With an archive its runs are archived first, which may take a minute."""
    precondition = preconditions.of_headers(request.headers)
    context = console_context.of_request(request)
    if context.archiver is None or params.is_dry_run:
        await context.instances.delete(params.namespace, name, precondition, dry_run=params.is_dry_run)
        return Response(status_code=204)
    instance = await context.archiver.instances.request(params.namespace, name, precondition)
    return Response(status_code=204) if instance is None else _with_entity_tag(instance, 202)
