"""Routes of instances' web endpoints: their state, and the switch."""

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from sympozium_api.resources import Object
from sympozium_console import console_context, openapi_models, preconditions, web_endpoint_body
from sympozium_console.instance_repository import web_endpoint_state
from sympozium_console.routes.params import REFUSALS, Name, ObjectParams, WriteParams, authenticate, json_object

router = APIRouter(tags=["instances"], dependencies=[Depends(authenticate)], responses=REFUSALS)


def _answer(instance: Object) -> JSONResponse:
    headers = {"ETag": preconditions.entity_tag(instance)}
    return JSONResponse(web_endpoint_state(instance), headers=headers)


@router.get("/api/v1/instances/{name}/web-endpoint", response_model=openapi_models.WebEndpointState)
async def get_web_endpoint(request: Request, name: Name, params: ObjectParams) -> Response:
    """Return the state of an instance's web endpoint; the generation of the instance's spec is the entity tag."""
    return _answer(await console_context.of_request(request).instances.get(params.namespace, name))


@router.put(
    "/api/v1/instances/{name}/web-endpoint",
    response_model=openapi_models.WebEndpointState,
    openapi_extra=web_endpoint_body.BODY,
)
async def put_web_endpoint(request: Request, name: Name, params: WriteParams) -> Response:
    """Switch an instance's web endpoint on or off, with its values. Values that the body omits stay, and so do other skills."""
    precondition = preconditions.of_headers(request.headers)
    enabled, values = web_endpoint_body.parse(await json_object(request))
    instance = await console_context.of_request(request).instances.switch_web_endpoint(
        params.namespace,
        name,
        enabled=enabled,
        values=values,
        precondition=precondition,
        dry_run=params.is_dry_run,
    )
    return _answer(instance)
