"""Where the API server is and who we are: a pod's service account, or a kubeconfig file on a developer's machine."""

import base64
import os
import ssl
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_REREAD_SECONDS = 30.0
"""The kubelet replaces a projected token well before it expires; re-reading it this often is soon enough."""


@dataclass
class ApiConnection:
    """How to reach the API server."""

    url: str
    ssl: ssl.SSLContext | bool
    token_file: Path | None = None
    token: str | None = None
    _read_at: float = float("-inf")

    def headers(self) -> dict[str, str]:
        """The Authorization header of the next request."""
        if self.token_file and time.monotonic() - self._read_at > _TOKEN_REREAD_SECONDS:
            self.token = self.token_file.read_text().strip()
            self._read_at = time.monotonic()
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def from_environment() -> ApiConnection:
    """The connection of this process: the service account in a pod, else the current context of ``KUBECONFIG``."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if host and (SERVICE_ACCOUNT / "token").exists():
        host = f"[{host}]" if ":" in host else host
        return ApiConnection(
            url=f"https://{host}:{os.environ['KUBERNETES_SERVICE_PORT']}",
            ssl=ssl.create_default_context(cafile=str(SERVICE_ACCOUNT / "ca.crt")),
            token_file=SERVICE_ACCOUNT / "token",
        )
    return from_kubeconfig(Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube/config"))


def from_kubeconfig(path: Path) -> ApiConnection:
    """The current context of a kubeconfig file with a client certificate or a token (no exec plugins)."""
    config = yaml.safe_load(path.read_text())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    tls = ssl.create_default_context(cadata=_data(cluster, "certificate-authority").decode())
    if certificate := _data(user, "client-certificate"):
        with tempfile.NamedTemporaryFile() as file:  # the ssl module reads certificates from files only
            file.write(certificate + b"\n" + _data(user, "client-key"))
            file.flush()
            tls.load_cert_chain(file.name)
    return ApiConnection(url=cluster["server"].rstrip("/"), ssl=tls, token=user.get("token"))


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _data(entry: dict[str, Any], key: str) -> bytes:
    if inline := entry.get(f"{key}-data"):
        return base64.b64decode(inline)
    return Path(entry[key]).read_bytes() if key in entry else b""
