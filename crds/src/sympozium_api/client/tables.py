"""Tables: objects as ``kubectl get`` shows them, each with its ``metadata`` and the values of its kind's columns.

The contents of the objects stay in the API server, because the objects themselves are not sent.
"""

from sympozium_api.resources import Object

TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"


class TableReader:
    """Reader of the Tables of one list or watch: the first of them has the titles of the columns."""

    def __init__(self) -> None:
        self._titles: tuple[str, ...] = ()

    def rows(self, table: Object) -> list[Object]:
        """Return for each row ``metadata`` and, by title, ``columns``; a column that the cluster's CRD lacks is absent."""
        if columns := table.get("columnDefinitions"):
            self._titles = tuple(column["name"] for column in columns)
        return [self._row(row) for row in table.get("rows") or ()]

    def _row(self, row: Object) -> Object:
        return metadata_of(row["object"]) | {"columns": dict(zip(self._titles, row["cells"], strict=False))}


def metadata_of(item: Object) -> Object:
    """Return an object's ``metadata`` alone, without ``managedFields``, which are as long as the object."""
    item["metadata"].pop("managedFields", None)
    return {"metadata": item["metadata"]}
