"""Routes of instances and of their web endpoints."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import INSTANCES, Object
from sympozium_console import console_context, object_pages, openapi_models, preconditions
from sympozium_console.routes.access import visible
from sympozium_console.routes.params import (
    REFUSALS,
    Name,
    ObjectParams,
    PageQuery,
    WriteParams,
    authenticate,
    json_object,
)

router = APIRouter(tags=["instances"], dependencies=[Depends(authenticate)], responses=REFUSALS)


def _with_entity_tag(instance: Object, status: int = 200) -> JSONResponse:
    return JSONResponse(instance, status_code=status, headers={"ETag": preconditions.entity_tag(instance)})


@router.get("/api/v1/instances", response_model=openapi_models.InstanceList)
async def list_instances(request: Request, params: Annotated[PageQuery, Query()]) -> Response:
    """Return one page of instances, ordered by namespace and name."""
    instances, seen = console_context.of_request(request).instances, visible(request)
    if seen.namespaces is None:
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
