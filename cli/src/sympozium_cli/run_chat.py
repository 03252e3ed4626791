"""Answers from AgentRuns that the user makes: whole, because no token passes the API server before the end."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.resources import RUNS, Object
from sympozium_cli.chat_events import ChatEvent, Ended, Message, Started, Text, Waiting
from sympozium_cli.failures import Failure
from sympozium_cli.instance_states import phase_of
from sympozium_cli.new_runs import run_of_messages
from sympozium_cli.run_following import answer_of, cancel, error_of, has_ended, states, waiting_for


@dataclass(frozen=True)
class RunChat:
    """An agent, asked by AgentRuns."""

    client: Client
    namespace: str
    instance: str
    detour: str

    async def ask(self, messages: Sequence[Message], model: str = "") -> AsyncGenerator[ChatEvent, None]:
        """Yield the events of one answer."""
        run = run_of_messages(self.namespace, self.instance, messages, model)
        created = await self.client.create(RUNS, self.namespace, run, strict=True)
        async with aclosing(followed(self.client, created)) as events:
            async for event in events:
                yield event


async def followed(client: Client, run: Object) -> AsyncGenerator[ChatEvent, None]:
    """Yield the events of a run until its end. Closing the generator ends the run. Raises Failure if it does not succeed."""
    namespace, name = run["metadata"]["namespace"], run["metadata"]["name"]
    try:
        yield Started(name)
        async with aclosing(states(client, namespace, name)) as changes:
            async for run in changes:  # noqa: PLR1704 - its newest state
                if not has_ended(run) and (reason := waiting_for(run)):
                    yield Waiting(reason)
    except (asyncio.CancelledError, GeneratorExit):
        with suppress(Failure, ApiError, ApiUnavailable):
            await asyncio.shield(cancel(client, namespace, name))
        raise
    if phase_of(run) != "Succeeded":
        raise Failure(f"the run {name} did not succeed: {error_of(run)}")
    yield Text(await answer_of(client, run))
    status = run["status"]
    yield Ended(name, status.get("finishReason") or "", (status.get("tokenUsage") or {}).get("totalTokens"))
