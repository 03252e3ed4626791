"""The interface of a model provider. For type checkers: nothing here is needed at run time."""

from collections.abc import Generator
from typing import Any, Protocol

from sympozium_agent.transport import ModelTransport
from sympozium_agent.waiting import Scope
from sympozium_api.agent_records import ModelTarget


class Provider(Protocol):
    """One model of one server, in its dialect."""

    def stream(self, request: dict[str, str], scope: Scope) -> Generator[dict[str, Any], None, None]:
        """Call the model with an OpenAI-shaped request, whose values are JSON texts; yield its answer as OpenAI-shaped chunks while
        they arrive. Closing the generator closes the connection.

        Raises ModelError, also for an answer that was cut and, with status 400, for a field that the dialect cannot say; Cancelled
        and DeadlineExceeded when the scope ends.
        """


class ProviderFactory(Protocol):
    """A provider's class."""

    def __call__(self, model: ModelTarget, key: str | None, transport: ModelTransport) -> Provider:
        """Return the provider of a model; ``key`` is the model's API key."""


class Translation(Protocol):
    """Translation of one answer's events to OpenAI-shaped chunks. Pure; it remembers what earlier events said."""

    @property
    def is_done(self) -> bool:
        """True once an event has marked the end of the answer."""

    @property
    def is_finished(self) -> bool:
        """True once the answer is whole, although no event has marked its end."""

    def chunks(self, value: Any) -> list[dict[str, Any]]:
        """Return the chunks that an event, as JSON, makes. Raises ModelError for one that is malformed or an error."""
