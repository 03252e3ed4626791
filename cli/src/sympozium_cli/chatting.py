"""The way to an agent: its web endpoint, with a key that the user may read, else AgentRuns that the user makes."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from sympozium_api.client import ApiError
from sympozium_api.resources import INSTANCES, SECRETS
from sympozium_cli.api_failures import lacks_right
from sympozium_cli.chat_events import Chat, ChatEvent, Message
from sympozium_cli.cluster import Cluster
from sympozium_cli.endpoint_chat import open_endpoint
from sympozium_cli.failures import ClusterAway
from sympozium_cli.instance_states import keys_in, phase_of, secret_of_keys, service_of
from sympozium_cli.run_chat import RunChat


class _NoEndpoint(Exception):
    """The reason why the web endpoint is no way."""


async def chat(
    cluster: Cluster, namespace: str, instance: str, messages: Sequence[Message], model: str = ""
) -> AsyncGenerator[ChatEvent, None]:
    """Yield the events of one answer, on a way of its own. ``model``: as ``Chat.ask`` has it. Closing the generator ends the run.

    Raises Failure, ApiError and ApiUnavailable.
    """
    async with open_chat(cluster, namespace, instance) as way, aclosing(way.ask(messages, model)) as events:
        async for event in events:
            yield event


@asynccontextmanager
async def open_chat(cluster: Cluster, namespace: str, instance: str) -> AsyncIterator[Chat]:
    """Open a way to an agent for several questions. Raises ApiError if there is no such instance, and ApiUnavailable."""
    async with AsyncExitStack() as stack:
        way: Chat
        try:
            way = await stack.enter_async_context(_endpoint(cluster, namespace, instance))
        except _NoEndpoint as reason:
            way = RunChat(cluster.client, namespace, instance, str(reason))
        yield way


@asynccontextmanager
async def _endpoint(cluster: Cluster, namespace: str, name: str) -> AsyncIterator[Chat]:
    instance = await cluster.client.get(INSTANCES, namespace, name)
    if phase_of(instance) != "Serving":
        raise _NoEndpoint("its web endpoint is not on")
    secret = secret_of_keys(instance)
    try:
        keys = keys_in(await cluster.client.get(SECRETS, namespace, secret))
    except ApiError as error:
        if not (lacks_right(error) or error.not_found):
            raise
        raise _NoEndpoint(f"you may not read its API key, in the Secret {secret}") from error
    if not keys:
        raise _NoEndpoint(f"the Secret {secret} has no API key")
    async with AsyncExitStack() as stack:
        opening = open_endpoint(cluster.kubectl_args, namespace, service_of(instance), name, next(iter(keys.values())))
        try:
            way = await stack.enter_async_context(opening)
        except ClusterAway as failure:
            raise _NoEndpoint(f"kubectl port-forward: {failure}") from failure
        yield way
