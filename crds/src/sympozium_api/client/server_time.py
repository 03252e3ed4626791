"""The API server's time of day, from a header that each of its answers has."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from sympozium_api.client.api_errors import ApiUnavailable
from sympozium_api.client.rest import Client

_SILENCE_SECONDS = 10.0


async def server_time(client: Client) -> datetime:
    """Return the time of day, in whole seconds, by the API server's clock. Raises ApiUnavailable."""
    try:
        async with client.stream("/version", {}, silence=_SILENCE_SECONDS) as response:
            return parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
    except (aiohttp.ClientError, OSError, LookupError, ValueError) as error:  # TimeoutError is an OSError
        raise ApiUnavailable(f"the API server's time cannot be read: {error or type(error).__name__}") from error
