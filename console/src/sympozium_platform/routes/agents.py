"""Agents of the tenant, and their publication."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from sympozium_api.client import ApiError
from sympozium_domain.agents.agent import Agent
from sympozium_domain.agents.agent_manifest import NoSuchProvider
from sympozium_domain.agents.agents import AgentDeleting
from sympozium_domain.callers.tenant_caller import TenantCaller
from sympozium_domain.idempotent_creation import KeyOfAnotherBody
from sympozium_domain.tenant_bounds import TooMany
from sympozium_http.refusal import Refusal
from sympozium_platform import creations, errors, held_bytes, parsing, platform_context
from sympozium_platform.access import Reader, Writer
from sympozium_platform.agent_models import AgentAnswer, AgentChange, NewAgent
from sympozium_platform.audited import begin_change
from sympozium_platform.creations import IDEMPOTENCY_HEADER
from sympozium_platform.lists import ListParams, NoParams, listed_texts

router = APIRouter(tags=["agents"])

AgentId = Annotated[UUID, Path(description="Id of the agent.")]
_FIELDS = {
    "spec.title": "name",
    "spec.memory": "system_prompt",
    "spec.agents.default.params": "llm_params",
    "spec.agents.default": "model",
}
"""Names of fields by the beginnings of those of an instance, the longest first."""


@router.post(
    "/agents",
    name="agent.create",
    status_code=201,
    openapi_extra=parsing.body_of(NewAgent) | {"parameters": [IDEMPOTENCY_HEADER]},
)
async def create_agent(request: Request, caller: Writer, _: NoParams) -> AgentAnswer:
    """Create an agent; with status `published` runs get it at once."""
    context = platform_context.of_request(request)
    value = await parsing.json_value(request)
    wanted = parsing.validated(value, NewAgent)
    fields = wanted.fields_of_new(context.settings.default_model)
    creation = creations.creation_of(request, caller, value)
    await begin_change(request, creation.id, fields=tuple(sorted(wanted.model_fields_set)))
    with _refusals():
        agent = await context.agents.create(creation, caller.namespace, fields, caller.user)
    return AgentAnswer.of(agent, caller.tenant_id)


@router.get("/agents", name="agent.list", response_model=list[AgentAnswer])
async def list_agents(request: Request, caller: Reader, params: ListParams) -> Response:
    """Return the tenant's agents, the newest first; `x-total-count` is the number of all."""

    def shaped(agent: Agent) -> bytes:
        answer = AgentAnswer.of(agent, caller.tenant_id).model_dump_json().encode()
        held_bytes.hold(request, len(answer))  # 200 prompts may have 50 MiB
        return answer

    agents = platform_context.of_request(request).agents
    page, total = await agents.page(caller.namespace, limit=params.limit, offset=params.offset)
    return listed_texts(map(shaped, page), total)


@router.get("/agents/{agent_id}", name="agent.get")
async def get_agent(request: Request, agent_id: AgentId, caller: Reader, _: NoParams) -> AgentAnswer:
    """Return an agent, as it is edited."""
    body = await platform_context.of_request(request).agents.find(caller.namespace, str(agent_id))
    return _answer(None if body is None else Agent.of(body), agent_id, caller)


@router.put("/agents/{agent_id}", name="agent.update", openapi_extra=parsing.body_of(AgentChange))
async def put_agent(request: Request, agent_id: AgentId, caller: Writer, _: NoParams) -> AgentAnswer:
    """Change the fields that are given. Runs of a published agent get its last version until it is published again."""
    wanted = await parsing.parsed(request, AgentChange)
    await begin_change(request, str(agent_id), fields=tuple(sorted(wanted.model_fields_set)))
    with _refusals():
        agent = await platform_context.of_request(request).agents.change(caller.namespace, str(agent_id), wanted.fields)
    return _answer(agent, agent_id, caller)


@router.delete("/agents/{agent_id}", name="agent.delete", status_code=204)
async def delete_agent(request: Request, agent_id: AgentId, caller: Writer, _: NoParams) -> Response:
    """Delete an agent. Its runs and the audit stay readable."""
    await begin_change(request, str(agent_id))
    if not await platform_context.of_request(request).agents.delete(caller.namespace, str(agent_id)):
        raise errors.not_found("agent", str(agent_id))
    return Response(status_code=204)


@router.post("/agents/{agent_id}/publish", name="agent.publish", openapi_extra={"parameters": [IDEMPOTENCY_HEADER]})
async def publish_agent(request: Request, agent_id: AgentId, caller: Writer, _: NoParams) -> AgentAnswer:
    """Freeze the agent as it is under the next number. Runs get it from now on."""
    key = creations.publication_key(request, caller)
    await begin_change(request, str(agent_id))
    with _refusals():
        agent = await platform_context.of_request(request).agents.publish(caller.namespace, str(agent_id), key)
    return _answer(agent, agent_id, caller)


def _answer(agent: Agent | None, agent_id: UUID, caller: TenantCaller) -> AgentAnswer:
    if agent is None:
        raise errors.not_found("agent", str(agent_id))
    return AgentAnswer.of(agent, caller.tenant_id)


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise what is wrong with a caller's fields as Refusal, by the fields' own names."""
    try:
        yield
    except NoSuchProvider as error:
        message = f"the tenant has no provider {str(error)!r}; create it, or write one that the tenant has"
        raise errors.bad_field("model", message) from error
    except TooMany as error:
        raise errors.too_many_objects(error) from error
    except KeyOfAnotherBody as error:
        raise creations.key_of_another_body() from error
    except AgentDeleting as error:
        raise errors.refused(409, "agent_deleting", "The agent of this Idempotency-Key is being deleted.") from error
    except ApiError as error:
        if refusal := _of_field(error):
            raise refusal from error
        raise


def _of_field(error: ApiError) -> Refusal | None:
    """Return 422 for a field that the API server refuses; None: it refuses something else."""
    for cause in error.causes if error.status in (400, 422) else ():
        for beginning, name in _FIELDS.items():
            if cause.field.startswith(beginning):
                return errors.bad_field(name, cause.message)
    return None
