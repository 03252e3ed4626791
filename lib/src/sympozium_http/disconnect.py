"""When a caller leaves."""

from starlette.types import Receive


async def wait(receive: Receive) -> None:
    """Return once the caller has closed its connection; what it may still send is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
