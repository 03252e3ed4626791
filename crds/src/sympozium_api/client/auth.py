"""The API server's address and this process's credentials: a pod's service account, or a kubeconfig file on a person's machine."""

import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_REREAD_SECONDS = 30.0
"""Interval at which a token file is read again: the kubelet replaces a projected token well before it expires."""


@dataclass
class ApiConnection:
    """The API server's address, and the credentials and TLS settings of requests to it."""

    url: str
    ssl: ssl.SSLContext | bool
    authorization: Callable[[], str | None] = lambda: None
    """Returns the Authorization header of the next request, current at each call; None: the request has none."""
    proxy: str | None = None
    """URL of the HTTP proxy."""
    server_hostname: str | None = None
    """Name in the API server's certificate. Default: the host of ``url``."""
    unix_socket: str | None = None
    """Path of the socket of a ``kubectl proxy``. Default: TCP."""

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate the next request."""
        value = self.authorization()
        return {"Authorization": value} if value else {}

    def connector(self) -> aiohttp.BaseConnector:
        """Open a pool of connections."""
        if self.unix_socket:
            return aiohttp.UnixConnector(self.unix_socket, limit=100, keepalive_timeout=60)
        return aiohttp.TCPConnector(ssl=self.ssl, limit=100, keepalive_timeout=60)


class TokenFile:
    """A bearer token in a file that is replaced from time to time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self._read_at = float("-inf")

    def authorization(self) -> str:
        """Return the Authorization header, from the file if it was last read long ago."""
        if time.monotonic() - self._read_at > _TOKEN_REREAD_SECONDS:
            self._token = self._path.read_text().strip()
            self._read_at = time.monotonic()
        return f"Bearer {self._token}"


def from_environment() -> ApiConnection:
    """Return the connection of this process: the service account in a pod, else the current context of ``KUBECONFIG``.

    Raises SystemExit outside a pod if the extra ``kubeconfig`` is not installed.
    """
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if host and (SERVICE_ACCOUNT / "token").exists():
        host = f"[{host}]" if ":" in host else host
        return ApiConnection(
            url=f"https://{host}:{os.environ['KUBERNETES_SERVICE_PORT']}",
            ssl=ssl.create_default_context(cafile=str(SERVICE_ACCOUNT / "ca.crt")),
            authorization=TokenFile(SERVICE_ACCOUNT / "token").authorization,
        )
    try:
        from sympozium_api.client.kubeconfig import from_kubeconfig  # noqa: PLC0415 - a second that no pod spends
    except ModuleNotFoundError as failure:
        raise SystemExit(
            "there is no service account here, and reading a kubeconfig file needs the extra sympozium[kubeconfig]"
        ) from failure
    return from_kubeconfig(os.environ.get("KUBECONFIG") or str(Path.home() / ".kube/config"))
