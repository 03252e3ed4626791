"""Ids of objects for callers: UUIDs that a restore keeps."""

from sympozium_api.client import Client, ResourceType
from sympozium_api.names import LABEL_ID, is_uuid
from sympozium_api.resources import Object


def object_id(body: Object) -> str:
    """Return the id of an object: its label ``sympozium.ai/id`` if that is a UUID, else its UID."""
    metadata = body["metadata"]
    label: str = metadata.get("labels", {}).get(LABEL_ID, "")
    return label if is_uuid(label) else str(metadata["uid"])


def lasting(body: Object) -> Object:
    """Return labels to write with a change of an object, so that a restore keeps its id, also of an object that had none of a dialect."""
    return {LABEL_ID: object_id(body)}


async def find(client: Client, kind: ResourceType, namespace: str, wanted: str) -> Object | None:
    """Return the object of a kind with an id in a namespace; None if there is none.

    Objects with a label are found by it. Only for another id the metadata of the namespace's objects is read. Of several objects with one
    label the oldest counts. Raises ApiError and ApiUnavailable.
    """
    if not is_uuid(wanted):
        return None
    if labelled := await find_labelled(client, kind, namespace, wanted):
        return labelled
    for metadata in await client.metadata(kind, namespace):
        if object_id(metadata) == wanted:
            body = await client.find(kind, namespace, metadata["metadata"]["name"])
            return body if body is not None and object_id(body) == wanted else None
    return None


async def find_labelled(client: Client, kind: ResourceType, namespace: str, wanted: str) -> Object | None:
    """Return the object of a kind with a label of this id, a UUID; None if there is none. Raises as ``find`` does."""
    labelled = await client.list(kind, namespace, labelSelector=f"{LABEL_ID}={wanted}")
    return min(labelled, key=_age, default=None)


def _age(body: Object) -> tuple[str, str]:
    metadata = body["metadata"]
    return metadata["creationTimestamp"], metadata["uid"]
