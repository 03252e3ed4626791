"""A web-proxy whose instance accepts the access tokens of an authorization server on a real socket."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.fakes.documents import Documents
from tests.fakes.issuer import Issuer
from tests.integration.conftest import Proxy, eventually, instance

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


METADATA = "/.well-known/oauth-protected-resource"


@dataclass
class World:
    """A web-proxy whose instance accepts an issuer's tokens."""

    proxy: Proxy
    issuer: Issuer
    server: Documents

    async def accept(self, **oauth: Any) -> None:
        """Let the instance accept the issuer's tokens, with these fields changed."""
        await self.configure(oauth=self.issuer.spec(**oauth))

    async def configure(self, **web_endpoint: Any) -> None:
        limit = {"requestsPerMinute": 6000, "burstSize": 100}
        put = self.proxy.kubernetes.put(instance(webEndpoint={"rateLimit": limit, "oauth": None} | web_endpoint))
        await eventually(lambda: self._seen() == put["metadata"]["resourceVersion"])

    def _seen(self) -> str:
        found = self.proxy.context.instance_cache.instance
        return found.metadata.resource_version if found else ""

    async def ask(self, token: str, **headers: str) -> httpx2.Response:
        """The cheapest of all requests with a key."""
        return await self.proxy.http.get("/v1/models", headers={"Authorization": f"Bearer {token}"} | headers)

    async def status(self, token: str) -> int:
        return (await self.ask(token)).status_code

    def fetches(self) -> int:
        """Return the number of times that the keys were fetched."""
        return self.server.asked.count("/keys")


@asynccontextmanager
async def oauth_world(proxy: Proxy, tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "issuer").mkdir()
    issuer = Issuer("https://127.0.0.1", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = tmp_path / "issuer" / "tls.pem"
    certificate.write_bytes(issuer.certificate)
    server = Documents(("127.0.0.1", 0), issuer.documents, certificate)
    issuer.url = f"https://127.0.0.1:{server.server_port}"
    issuer.documents["/.well-known/openid-configuration"] = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
    with server.running():
        found = World(proxy, issuer, server)
        await found.accept()
        yield found
