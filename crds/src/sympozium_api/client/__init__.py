"""The Kubernetes client of this project: a thin layer over aiohttp, with nothing generated and nothing cached.

The official client takes more time per call and more memory per process (docs/decisions/0002 has the figures).
"""

from sympozium_api.client.api_errors import ApiError, ApiUnavailable, Cause
from sympozium_api.client.auth import ApiConnection, from_environment
from sympozium_api.client.rest import Client
from sympozium_api.client.watch import Change, Gap, RowPage, Snapshot, watch, watch_new_rows, watch_rows, whole
from sympozium_api.resources import ResourceType

__all__ = [
    "ApiConnection",
    "ApiError",
    "ApiUnavailable",
    "Cause",
    "Change",
    "Client",
    "Gap",
    "ResourceType",
    "RowPage",
    "Snapshot",
    "from_environment",
    "watch",
    "watch_new_rows",
    "watch_rows",
    "whole",
]
