"""Ids of the events of a call's stream: the call, and how much of its answer's text the client has.

Together with the session an id names the run, so that any replica can continue a broken stream (see 0023 for why
characters).

"""

import base64
import json
from dataclasses import dataclass

from sympozium_webproxy.protocol.mcp.jsonrpc import RequestId


@dataclass(frozen=True)
class StreamPosition:
    """Position in the stream of one call."""

    request_id: RequestId
    progress_token: RequestId | None
    sent: int
    """Characters of the answer that the client has."""

    def event_id(self) -> str:
        """Return the id of the event that ends here."""
        text = json.dumps([self.request_id, self.progress_token, self.sent], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def position(event_id: str) -> StreamPosition | None:
    """Return the position that an id names; None if it is not an id of this server."""
    try:
        request_id, token, sent = json.loads(base64.urlsafe_b64decode(event_id.encode() + b"=="))
    except (ValueError, TypeError, RecursionError):
        return None
    if not _is_id(request_id) or not (token is None or _is_id(token)) or not isinstance(sent, int) or sent < 0:
        return None
    return StreamPosition(request_id, token, sent)


def run_key(session_id: str, request_id: RequestId) -> str:
    """Return the seed of the name of a call's run, like an Idempotency-Key: JSON-RPC ids are unique in a session."""
    return f"mcp {session_id} {json.dumps(request_id)}"


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)
