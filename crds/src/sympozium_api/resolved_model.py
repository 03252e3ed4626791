"""A model with all that is needed to call it, as the operator resolves it from an instance and its Providers."""

from typing import Annotated

from pydantic import Field

from sympozium_api.base import ApiModel, StringMap
from sympozium_api.provider import ProviderType

HeaderEntries = Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=64)]


class ResolvedModel(ApiModel):
    """One model, its server, and where the server's credentials are. No credential is in it."""

    provider: ProviderType = "openai_compat"
    """Dialect of the server."""
    ref: Annotated[str | None, Field(max_length=253)] = None
    """Provider that has the model, and folder of its credentials in the pod. Absent: the instance's ``baseURL`` has the model."""
    address_ref: Annotated[str | None, Field(max_length=253)] = None
    """Provider that has the address, where a run calls it with a key of its own. Policies judge the model as the Provider's."""
    name: Annotated[str, Field(max_length=256)]
    """Name of the model at the server."""
    title: Annotated[str, Field(max_length=510)]
    """``provider:model``, with the name of the Provider or of the first of ``authRefs``."""
    base_url: Annotated[str, Field(max_length=2048)]
    """Base URL of the server."""
    api_version: Annotated[str | None, Field(max_length=64)] = None
    """Version of the API, of Azure's servers."""
    headers: StringMap = {}
    """Headers of each call, without those of the instance."""
    secret: Annotated[str | None, Field(max_length=253)] = None
    """Secret with the API key. Absent: the server is called without one."""
    secret_entry: Annotated[str | None, Field(max_length=253)] = None
    """Entry of a Provider's ``secret`` that holds the API key."""
    headers_secret: Annotated[str | None, Field(max_length=253)] = None
    """Secret whose entries are headers."""
    header_entries: HeaderEntries = []
    """Entries of ``headersSecret``."""
    version: Annotated[str | None, Field(max_length=64)] = None
    """Digest of the versions of the Secrets. Idle pods that were made with another one are replaced."""
