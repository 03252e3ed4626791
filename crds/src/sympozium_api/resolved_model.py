"""A model with all that is needed to call it, as the operator resolves it from an instance and its Providers."""

from hashlib import sha256
from typing import Annotated

from pydantic import Field

from sympozium_api.base import ApiModel, StringMap
from sympozium_api.provider import ProviderType

_LONGEST_NAME = 240
"""Characters of a Provider's name in the name of a folder, which may have 255."""


class ResolvedModel(ApiModel):
    """One model, its server, and where the server's credentials are. No credential is in it."""

    provider: ProviderType = "openai_compat"
    """Dialect of the server."""
    ref: Annotated[str | None, Field(max_length=253)] = None
    """Provider that has the model. Absent: the instance's ``baseURL`` has the model."""
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
    headers_secret: Annotated[str | None, Field(max_length=253)] = None
    """Secret whose entries are headers."""
    version: Annotated[str | None, Field(max_length=64)] = None
    """Digest of the versions of the Secrets. Idle pods that were made with another one are replaced."""

    @property
    def folder(self) -> str | None:
        """Folder of the Provider's credentials in a pod; None: the model has no Provider.

        A pod and its task may be made from two states of a Provider. The folder's name says which Secrets are in it, so that no
        key of another Secret is sent to the address of the other state.
        """
        if self.ref is None or not (self.secret or self.headers_secret):
            return self.ref
        secrets = "/".join((self.secret or "", self.headers_secret or ""))
        return f"{self.ref[:_LONGEST_NAME]}.{sha256(secrets.encode()).hexdigest()[:8]}"
