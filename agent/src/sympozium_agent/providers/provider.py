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

        Raises ModelError, also for an answer that was cut; Cancelled and DeadlineExceeded when the scope ends.
        """


class ProviderFactory(Protocol):
    """A provider's class."""

    def __call__(self, model: ModelTarget, key: str | None, transport: ModelTransport) -> Provider:
        """Return the provider of a model; ``key`` is the model's API key."""
