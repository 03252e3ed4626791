"""GET /v1/models and GET /v1/models/{model}."""

from typing import Any

from fastapi import APIRouter, Request

from sympozium_api.instance import SympoziumInstance
from sympozium_openai import models
from sympozium_runs.model_choice import chosen_model, model_names
from sympozium_webproxy import context
from sympozium_webproxy.request.authentication import authenticate_read
from sympozium_webproxy.request.start import api_away

router = APIRouter()


@router.get("/v1/models")
async def list_models(request: Request) -> dict[str, Any]:
    """Return the models that requests may name."""
    instance, created = await _instance(request)
    with api_away():
        names = await context.of(request).runs.policies.permitted_models(instance, model_names(instance))
    return models.listing(names, created=created)


@router.get("/v1/models/{model:path}")
async def get_model(request: Request, model: str) -> dict[str, Any]:
    """Return one model. Raises Refusal 403 and 404."""
    instance, created = await _instance(request)
    is_embedding = model in instance.spec.agents.default.embedding_models
    meant = model if is_embedding else chosen_model(instance, model)
    with api_away():
        await context.of(request).runs.policies.admitted(instance, meant)
    return models.entry(model, created=created)


async def _instance(request: Request) -> tuple[SympoziumInstance, int]:
    await authenticate_read(request)
    instance = context.of(request).instance_cache.served().instance
    return instance, int(instance.metadata.created.timestamp())
