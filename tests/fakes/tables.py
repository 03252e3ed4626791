"""Tables of custom resources, in the form in which Kubernetes 1.34 answers."""

from collections.abc import Iterable
from typing import Any

from tests.fakes import crd_admission

from sympozium_api.client.collection import Collection
from sympozium_api.resources import Object

AS_TABLE = "as=Table"
"""Part of the media type of Tables."""
_NAME: Object = {"name": "Name", "type": "string", "format": "name", "description": "Name", "priority": 0}


def of_collection(plural: str, page: Collection) -> Object:
    """Return a page of whole objects as a Table."""
    metadata: Object = {"resourceVersion": page.resource_version, "continue": page.next_page}
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    return _table(plural, page.items, metadata, with_titles=True)


class WatchedTables:
    """Tables of one watch, each of one row; only the first has the columns' titles."""

    def __init__(self, plural: str) -> None:
        self._plural = plural
        self._has_titles = False

    def table(self, body: Object) -> Object:
        """Return an object, or a bookmark, as the Table of an event."""
        with_titles, self._has_titles = not self._has_titles, True
        metadata = {"resourceVersion": body["metadata"]["resourceVersion"]}
        return _table(self._plural, [body], metadata, with_titles=with_titles)


def _table(plural: str, items: Iterable[Object], metadata: Object, *, with_titles: bool) -> Object:
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [_NAME, *_columns(plural)] if with_titles else None,
        "rows": [{"cells": _cells(plural, body), "object": _metadata(body)} for body in items],
    }


def _columns(plural: str) -> list[Object]:
    return [
        {"name": column["name"], "type": column["type"], "priority": column.get("priority", 0)}
        for column in crd_admission.printer_columns(plural)
    ]


def _cells(plural: str, body: Object) -> list[Any]:
    return [body["metadata"].get("name", ""), *crd_admission.columns(plural, body).values()]


def _metadata(body: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": body["metadata"]}
