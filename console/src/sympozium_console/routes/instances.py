"""Instances, and the web endpoint of each."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import INSTANCES, Object
from sympozium_console import context, listing, models, preconditions
from sympozium_console.routes.asked import REFUSALS, InNamespace, Name, Paged, authenticate, json_object

router = APIRouter(tags=["instances"], dependencies=[Depends(authenticate)], responses=REFUSALS)

Where = Annotated[InNamespace, Query()]


def _with_tag(instance: Object, status: int = 200) -> JSONResponse:
    tag = preconditions.tag(instance["metadata"]["resourceVersion"])
    return JSONResponse(instance, status_code=status, headers={"ETag": tag})


@router.get("/api/v1/instances", response_model=models.InstanceList)
async def list_instances(request: Request, asked: Annotated[Paged, Query()]) -> Response:
    """A page of instances, by namespace and name."""
    found = await context.of(request).instances.page(asked.space, limit=asked.limit, after=asked.continue_)
    return JSONResponse(listing.answered(INSTANCES, found))


@router.get("/api/v1/instances/{name}", response_model=SympoziumInstance)
async def get_instance(request: Request, name: Name, asked: Where) -> Response:
    """An instance; its version is the entity tag."""
    return _with_tag(await context.of(request).instances.get(asked.namespace, name))


@router.put(
    "/api/v1/instances/{name}",
    response_model=SympoziumInstance,
    responses={201: {"model": SympoziumInstance, "description": "Made anew."}},
    openapi_extra=models.INSTANCE_BODY,
)
async def put_instance(request: Request, name: Name, asked: Where) -> Response:
    """Make an instance, or put another in its place."""
    precondition = preconditions.asked(request.headers)
    body = await json_object(request)
    instance, new = await context.of(request).instances.put(asked.namespace, name, body, precondition)
    return _with_tag(instance, 201 if new else 200)


@router.patch("/api/v1/instances/{name}", response_model=SympoziumInstance, openapi_extra=models.PATCH_BODY)
async def patch_instance(request: Request, name: Name, asked: Where) -> Response:
    """Change fields of an instance's spec."""
    precondition = preconditions.asked(request.headers)
    fields = await json_object(request)
    return _with_tag(await context.of(request).instances.patch(asked.namespace, name, fields, precondition))


@router.delete("/api/v1/instances/{name}", status_code=204)
async def delete_instance(request: Request, name: Name, asked: Where) -> None:
    """Delete an instance and what belongs to it."""
    await context.of(request).instances.delete(asked.namespace, name, preconditions.asked(request.headers))


@router.get("/api/v1/instances/{name}/web-endpoint", response_model=models.WebEndpoint)
async def get_web_endpoint(request: Request, name: Name, asked: Where) -> Response:
    """The HTTP API of an instance."""
    return JSONResponse(await context.of(request).instances.web_endpoint(asked.namespace, name))
