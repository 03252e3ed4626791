"""Cancellation of a run that is about to be archived and deleted."""

from sympozium_api.client import ApiError, Client
from sympozium_api.resources import RUNS, Object


async def cancel_run(client: Client, run: Object) -> None:
    """Ask the operator to end a run, and no other run that has its name by now. Raises ApiError and ApiUnavailable.

    A run that is gone, or that violates its schema so that only its deletion ends it, is no error.
    """
    metadata = run["metadata"]
    patch = {"metadata": {"uid": metadata["uid"]}, "spec": {"cancel": True}}
    try:
        await client.patch(RUNS, metadata["namespace"], metadata["name"], patch, metadata_only=True)
    except ApiError as error:
        if not error.not_found and not error.invalid:  # another UID is 422, because no patch may change a UID
            raise
