"""Errors of the API server as failures of a command."""

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_cli.failures import ClusterAway, Failure, Forbidden, NoCRDs

INSTALL_CRDS = "helm install sympozium-crds charts/sympozium-crds"
"""The command that brings the kinds into a cluster."""


def failure_of(error: ApiError | ApiUnavailable) -> Failure:
    """Return the failure of a command whose call of the API server ended in this error."""
    if isinstance(error, ApiUnavailable):
        cause = error.__cause__
        words = cause.message if isinstance(cause, ApiError) else str(error)
        return ClusterAway(f"the API server does not answer: {words.strip()}")
    if lacks_right(error):
        return Forbidden(error.message)
    if lacks_kind(error):
        return NoCRDs(f"this cluster does not have the kinds of Sympozium; install them with: {INSTALL_CRDS}")
    return Failure(error.message)


def lacks_right(error: ApiError) -> bool:
    """Return true if the user lacks a right, and no admission plugin refused the object."""
    return error.forbidden and " cannot " in error.message and " resource " in error.message


def lacks_kind(error: ApiError) -> bool:
    """Return true if the API server does not know the kind, and not only no object of this name."""
    return error.not_found and ("the server could not find" in error.message or "page not found" in error.message)
