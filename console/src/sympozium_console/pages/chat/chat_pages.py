"""The chat: a page of one conversation, the questions that it sends, and the events of their answers."""

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sympozium_api import effective, names
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.instance import SympoziumInstance
from sympozium_api.json_text import TextError
from sympozium_api.names import DNS_LABEL
from sympozium_api.resources import INSTANCES, RUNS
from sympozium_api.run import AgentRun
from sympozium_console import console_context, new_run_body, refusals, run_events
from sympozium_console.change_feed.counted_stream import counted
from sympozium_console.pages.chat import chat_question, request_samples
from sympozium_console.pages.chat.answer_stream import End, page_events
from sympozium_console.pages.chat.chat_question import ChatQuestion
from sympozium_console.pages.chat.conversations import LABEL, Conversation, Conversations, own_key, scope_of
from sympozium_console.pages.chat.past_conversations import PastConversation, past_conversations
from sympozium_console.pages.chat.turn_view import turn_view
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.forms import read_form
from sympozium_console.pages.instance_rows import InstanceRow
from sympozium_console.pages.instance_tabs import TABS, readable, stored_instance
from sympozium_console.pages.prose.formatted_text import MOST_CHARACTERS, MOST_ON_REQUEST
from sympozium_console.pages.rendering import is_fragment, render, templates
from sympozium_console.routes import new_runs
from sympozium_console.routes.access import may_see, may_see_events, require
from sympozium_console.routes.params import authenticate, caller_of
from sympozium_domain.sessions.session import Session
from sympozium_http import request_state
from sympozium_http.event_streams import EventStreamResponse
from sympozium_http.refusal import Refusal
from sympozium_runs.model_choice import model_names

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

Namespace = Annotated[str, Path(pattern=f"^{DNS_LABEL}$", max_length=63)]
Name = Annotated[str, Path(pattern=f"^{DNS_LABEL}$", max_length=63)]
_MOST_DIGITS = 9
_BASE = "/instances/{namespace}/{name}/chat"
_MAY_NOT = "{user} may read this conversation, and not ask: that takes the right to create agentruns.sympozium.ai in {namespace}."
_NOT_YOURS = "This is {user}'s conversation: you may read it. New chat begins one of your own."


class ChatQuery(BaseModel):
    """The query of a conversation's page."""

    model_config = ConfigDict(extra="forbid")
    before: Annotated[int | None, Field(ge=1)] = None
    formatted: Annotated[str | None, Field(max_length=63)] = None


@router.get(_BASE)
async def get_new_chat(request: Request, namespace: Namespace, name: Name) -> Response:
    """Return the page of a conversation that has not begun."""
    return await _page(
        request, await _instance(request, namespace, name), ChatQuestion(session=chat_question.new_key())
    )


@router.post(_BASE)
async def post_question(request: Request, namespace: Namespace, name: Name) -> Response:
    """Ask: start the run of a conversation's next turn, and show it."""
    question = chat_question.parse(await read_form(request))
    instance = await _instance(request, namespace, name)
    try:
        run = await _asked(request, instance, question)
    except Refusal as refusal:
        if is_fragment(request):
            return _part("chat_fault.html", refusal.status, title="Not sent", message=refusal.message)
        return await _page(request, instance, question, fault=refusal)
    label = Session.of(instance, scope_of(caller_of(request)), question.session).label
    address = f"{_BASE.format(namespace=namespace, name=name)}/{label}"
    if is_fragment(request):
        return _part("chat_turn.html", turn=await turn_view(run), conversation=address)
    return RedirectResponse(f"{address}#{run.metadata.name}", status_code=303)


@router.get(f"{_BASE}/{{conversation}}")
async def get_chat(
    request: Request, namespace: Namespace, name: Name, conversation: Name, query: Annotated[ChatQuery, Query()]
) -> Response:
    """Return the page of a conversation, which its session's label names, or a run of it."""
    await require(request, "get", INSTANCES, namespace)
    instance = await _instance(request, namespace, name)
    if not LABEL.fullmatch(conversation):
        return await _of_run(request, namespace, name, conversation)
    reader, caller = _conversations(request), caller_of(request)
    most = {query.formatted: MOST_ON_REQUEST} if query.formatted else {}
    found = await reader.read(instance, conversation, caller, before=query.before, most=most)
    if found is None:
        message = f"There is no conversation {conversation} with {name}: its runs have been deleted, as old ones are."
        raise Refusal(404, "NotFound", message)
    return await _page(request, instance, ChatQuestion(session=found.key or ""), conversation=found)


@router.get(f"{_BASE}/{{run}}/events")
async def get_answer_events(request: Request, namespace: Namespace, name: Name, run: Name) -> Response:
    """Stream the events of one answer; the header ``Last-Event-ID`` continues a stream where it broke off."""
    context, caller = console_context.of_request(request), request_state.of(request).caller
    context.feed.refuse_more_streams(caller)
    await _run(request, namespace, name, run)
    place = request.headers.get("last-event-id", "")
    after = int(place) if place.isascii() and place.isdigit() and len(place) <= _MOST_DIGITS else 0
    events = run_events.follow(
        context.client,
        context.instance_runs,
        run_events.FollowedRun(namespace, run, after=after),
        stop=context.draining,
        judge=partial(_judge, request, namespace),
    )
    frames = page_events(counted(context.feed, caller, events), after=after, end=partial(_end, request, namespace, run))
    return EventStreamResponse(frames, keep_alive_seconds=context.settings.keep_alive_seconds, waits=True)


@router.get(f"{_BASE}/{{run}}/request")
async def get_request(request: Request, namespace: Namespace, name: Name, run: Name) -> Response:
    """Return the page of a run's request, as programs would send it."""
    await require(request, "get", INSTANCES, namespace)
    instance = await _instance(request, namespace, name)
    found = await _run(request, namespace, name, run)
    key = own_key(instance, caller_of(request), found.metadata.labels.get(names.LABEL_SESSION, ""), found)
    try:
        body = request_samples.body_of(found, key)
    except TextError as error:
        raise refusals.conflict(f"The question cannot be read: {error}.", reason="RunUnreadable") from error
    samples = await asyncio.to_thread(request_samples.samples_of, body, str(request.base_url), namespace)
    return render(
        request,
        "chat_request.html",
        title=f"Request of {run}",
        run=run,
        samples=samples,
        turn_namespace=namespace,
        endpoint=effective.web_endpoint_is_on(instance),
        **_instance_context(instance),
    )


async def _asked(request: Request, instance: SympoziumInstance, question: ChatQuestion) -> AgentRun:
    """Start the run of a question. Raises Refusal, ApiError and ApiUnavailable."""
    if question.faults:
        raise Refusal(400, "BadRequest", " ".join(question.faults.values()))
    body = new_run_body.parse(chat_question.encoded(question.body(instance)))
    handle = await new_runs.start(request, instance.metadata.namespace, body, question.attempt or None)
    handle.close()
    return await console_context.of_request(request).instance_runs.read(instance.metadata.namespace, handle.name)


async def _of_run(request: Request, namespace: str, name: str, run: str) -> Response:
    """Lead to the conversation of a run, or to the run's page if it has none."""
    label = (await _run(request, namespace, name, run)).metadata.labels.get(names.LABEL_SESSION, "")
    path = f"{_BASE.format(namespace=namespace, name=name)}/{label}#{run}"
    return RedirectResponse(path if LABEL.fullmatch(label) else f"/runs/{namespace}/{run}", status_code=303)


async def _end(request: Request, namespace: str, name: str, *, whole: bool) -> End:
    """Return the end of a run. ``whole``: with all of its answer."""
    run = await console_context.of_request(request).instance_runs.read(namespace, name)
    view = await turn_view(run, most=MOST_CHARACTERS if whole else 0)
    answer = str(view.answer.html) if whole and not view.answer.plain else None
    return End(view.phase, templates().get_template("chat_facts.html").render(turn=view), answer)


async def _judge(request: Request, namespace: str) -> bool | None:
    """Return whether the caller may see Kubernetes' Events now; None for one that may not follow runs, or cannot be judged."""
    try:
        await authenticate(request, None)
        may_follow = await may_see(request, "watch", RUNS, namespace)
        return await may_see_events(request, namespace) if may_follow else None
    except (Refusal, ApiError, ApiUnavailable):
        return None


async def _instance(request: Request, namespace: str, name: str) -> SympoziumInstance:
    """Return an instance. Raises Refusal 409 for one that this version cannot read."""
    return readable(await stored_instance(request, namespace, name))


async def _run(request: Request, namespace: str, name: str, run: str) -> AgentRun:
    """Return a run of an instance. Raises Refusal 404 and 409."""
    try:
        found = await console_context.of_request(request).instance_runs.read(namespace, run)
    except ValidationError as error:
        raise refusals.conflict("This version cannot read the run.", reason="RunUnreadable") from error
    if found.spec.agent_ref != name:
        raise Refusal(404, "NotFound", f"{run} is no run of {name}.")
    return found


def _conversations(request: Request) -> Conversations:
    context = console_context.of_request(request)
    return Conversations(context.client, context.instance_runs)


async def _page(
    request: Request,
    instance: SympoziumInstance,
    form: ChatQuestion,
    *,
    conversation: Conversation | None = None,
    fault: Refusal | None = None,
) -> Response:
    """Return the chat page, of a conversation or of one that begins."""
    base, agent = _instance_context(instance), instance.spec.agents.default
    aliases = (instance.metadata.name, "default")
    models = [name for name in model_names(instance) if name not in aliases and name not in agent.embedding_models]
    return render(
        request,
        "chat.html",
        status=fault.status if fault else 200,
        title=f"Chat with {instance.metadata.name}",
        conversation=conversation,
        conversation_path=f"{base['base_path']}/chat/{conversation.label}" if conversation else "",
        form=form,
        attempt=chat_question.new_key(),
        models=[("", f"{agent.model} (the instance's)"), *((name, name) for name in models if name != agent.model)],
        refusal=await _why_not(request, instance.metadata.namespace, conversation),
        past=await _past(request, instance) if conversation is None and fault is None else (),
        fault=fault and {"title": "Not sent", "message": fault.message},
        **base,
    )


async def _past(request: Request, instance: SympoziumInstance) -> list[PastConversation]:
    """Return the caller's earlier conversations, if it may read runs."""
    if not await may_see(request, "get", RUNS, instance.metadata.namespace):
        return []
    context = console_context.of_request(request)
    return await past_conversations(context.indexed_runs, context.instance_runs, instance, caller_of(request))


async def _why_not(request: Request, namespace: str, conversation: Conversation | None) -> str:
    """Return why the caller may not ask here; empty: it may."""
    if not await may_see(request, "create", RUNS, namespace):
        return _MAY_NOT.format(user=caller_of(request).user, namespace=namespace)
    if conversation is not None and conversation.key is None:
        return _NOT_YOURS.format(user=conversation.user or "somebody else")
    return ""


def _instance_context(instance: SympoziumInstance) -> dict[str, Any]:
    namespace, name = instance.key
    row = InstanceRow.of(instance.model_dump(mode="json", by_alias=True, exclude_none=True))
    return {
        "instance": instance,
        "base_path": f"/instances/{namespace}/{name}",
        "row": row,
        "tabs": TABS,
        "tab": "chat",
    }


def _part(template: str, status: int = 200, **context: Any) -> Response:
    """Return a part of the page, which its script puts in its place."""
    return HTMLResponse(templates().get_template(template).render(**context), status)
