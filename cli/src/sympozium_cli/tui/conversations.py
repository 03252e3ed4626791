"""What arrives while an agent answers."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from sympozium_api.resources import Object
from sympozium_cli.chat_events import Text, Waiting
from sympozium_cli.cluster import Cluster
from sympozium_cli.tui.views.reading import Key
from sympozium_cli.tui.world import World


@dataclass(frozen=True)
class Piece:
    """More of the answer's text."""

    text: str


@dataclass(frozen=True)
class Note:
    """A word about what goes on, e.g. the run's name, or its place in the queue."""

    text: str


Event = Piece | Note
Converse = Callable[[World, Key, Sequence[Object]], AsyncGenerator[Event, None]]
"""Asks an instance, with the messages so far, and yields what arrives.

Raises Failure, ApiError and ApiUnavailable. Closing the generator ends the run."""


async def ask(world: World, key: Key, messages: Sequence[Object]) -> AsyncGenerator[Event, None]:
    """Ask an instance as ``kubectl sympozium chat`` does: by its web endpoint, else by a run of the user's own."""
    from sympozium_cli.chatting import chat

    cluster = Cluster(world.client, world.namespace, world.cluster.context, tuple(world.kubectl_args))
    async with aclosing(chat(cluster, *key, messages)) as events:
        async for event in events:
            if isinstance(event, Text):
                yield Piece(event.text)
            elif isinstance(event, Waiting):
                yield Note(event.reason)
            else:
                yield Note(f"run {event.run}")
