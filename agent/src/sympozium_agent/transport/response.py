"""The response of a model server, as every way to it gives it. For type checkers: nothing here is needed at run time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from sympozium_agent.transport.response_parser import ResponseHead
from sympozium_agent.waiting import Scope


class UnreadResponse(Protocol):
    """A response whose body has not been read yet."""

    @property
    def head(self) -> ResponseHead:
        """Status and headers."""

    def body_chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives. Raises TransportError, and what the post's scope raises."""


Post = Callable[[str, Mapping[str, str], bytes, Scope], AbstractContextManager[UnreadResponse]]
