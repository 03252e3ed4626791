"""Routes of the installation's settings, the SympoziumConfig."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from sympozium_api import names
from sympozium_api.config import SympoziumConfig
from sympozium_api.resources import Object
from sympozium_console import console_context, openapi_models, preconditions
from sympozium_console.routes.params import REFUSALS, ChangeQuery, NoQuery, authenticate, json_object

router = APIRouter(tags=["config"], dependencies=[Depends(authenticate)], responses=REFUSALS)


def _with_entity_tag(config: Object, status: int = 200) -> JSONResponse:
    return JSONResponse(config, status_code=status, headers={"ETag": preconditions.entity_tag(config)})


@router.get("/api/v1/config", response_model=SympoziumConfig)
async def get_config(request: Request, _: Annotated[NoQuery, Query()]) -> Response:
    """Return the SympoziumConfig of the installation; the generation of its spec is the entity tag."""
    context = console_context.of_request(request)
    return _with_entity_tag(await context.configs.get(context.settings.namespace, names.CONFIG))


@router.put(
    "/api/v1/config",
    response_model=SympoziumConfig,
    responses={201: {"model": SympoziumConfig, "description": "Created."}},
    openapi_extra=openapi_models.CONFIG_BODY,
)
async def put_config(request: Request, params: Annotated[ChangeQuery, Query()]) -> Response:
    """Create or replace the SympoziumConfig of the installation."""
    precondition = preconditions.of_headers(request.headers)
    body = await json_object(request)
    context = console_context.of_request(request)
    config, new = await context.configs.put(
        context.settings.namespace, names.CONFIG, body, precondition, dry_run=params.is_dry_run
    )
    return _with_entity_tag(config, 201 if new else 200)
