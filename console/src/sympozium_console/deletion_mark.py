"""The mark of an instance whose deletion was asked for: a label, so that any process can find such instances. Pure."""

from sympozium_api.names import LABEL_DELETING
from sympozium_api.resources import Object


def deleting_since(instance: Object) -> float | None:
    """Return the time of the request for an instance's deletion, in seconds since 1970; None if there was none.

    Anybody who may change the instance could write the label: a text that is no time marks nothing.
    """
    text = (instance["metadata"].get("labels") or {}).get(LABEL_DELETING, "")
    return float(text) if text.isascii() and text.isdigit() else None


def marked(seconds: float) -> Object:
    """Return the merge patch that marks an instance, with the time of the request in seconds since 1970."""
    return {"metadata": {"labels": {LABEL_DELETING: str(int(seconds))}}}
