"""Collection of objects: what of it is read, and the response to a list."""

from dataclasses import dataclass

from sympozium_api.client.tables import TABLE
from sympozium_api.resources import Object

JSON = "application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True)
class Collection:
    """A response to a list."""

    items: list[Object]
    resource_version: str
    next_page: str = ""
    """Token of the next page; empty: this is the last."""
    remaining: int | None = None
    """Number of objects after this page, if the API server knows it."""


@dataclass(frozen=True)
class Reading:
    """The extent to which a list is read."""

    metadata_only: bool = False
    """True: of each object its ``metadata`` alone is sent."""
    as_table: bool = False
    """True: of each object its ``metadata`` and its kind's columns are sent, as ``Client.rows`` returns them."""
    max_bytes: int | None = None
    """Bytes of an answer above which it is given up with CollectionTooLarge."""

    @property
    def media_type(self) -> str:
        """Value of the request's Accept header."""
        return TABLE if self.as_table else METADATA_ONLY if self.metadata_only else JSON


class CollectionTooLarge(Exception):
    """A list with more bytes than its caller takes at once."""
