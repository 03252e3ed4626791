"""Evidence of why a run's pod does not start: nodes, and Events about its Job or pod."""

from sympozium_api.client import ApiError, Client
from sympozium_api.resources import EVENTS, NODES, Object


async def nodes(client: Client) -> tuple[Object, ...]:
    """Return all nodes; none if the operator may not list them: then nothing shows that a pod never fits (decision 0017)."""
    try:
        return tuple(await client.list(NODES, None))
    except ApiError as error:
        if error.forbidden:
            return ()
        raise


async def warning(client: Client, subject: Object) -> str | None:
    """Return the latest Warning about a Job or pod; None: there is none."""
    metadata = subject["metadata"]
    selector = f"involvedObject.uid={metadata['uid']},type=Warning"
    events = await client.list(EVENTS, metadata["namespace"], fieldSelector=selector)
    latest = max(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime")), default=None)
    return None if latest is None else f"{latest.get('reason', '')}: {latest.get('message', '')}"
