"""Callers with access tokens of an authorization server, which is another server on a real socket."""

import asyncio
import base64
import hmac
import ipaddress
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.fakes.documents import Documents
from tests.fakes.issuer import AUDIENCE, Issuer
from tests.integration.conftest import KEY, Proxy, eventually, instance

from sympozium_api import names
from sympozium_api.resources import RUNS

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
METADATA = "/.well-known/oauth-protected-resource"


@dataclass
class World:
    """A web-proxy whose instance accepts an issuer's tokens."""

    proxy: Proxy
    issuer: Issuer
    server: Documents

    async def accept(self, **oauth: Any) -> None:
        """Let the instance accept them, with these fields changed."""
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
        """How often the keys were fetched."""
        return self.server.asked.count("/keys")


@pytest.fixture
async def world(proxy: Proxy, tmp_path: Path) -> AsyncIterator[World]:
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


def _from_now(claims: dict[str, Any]) -> dict[str, Any]:
    """Claims whose times were given in seconds from now."""
    return {name: int(time.time()) + value if isinstance(value, int) else value for name, value in claims.items()}


def _unsigned(claims: dict[str, Any], **header: Any) -> str:
    """A token with this header and no signature."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return f"{parts[0]}.{parts[1]}."


def _signed_with_the_public_key(issuer: Issuer) -> str:
    """HMAC with what everybody knows: an implementation that lets the token choose would verify it with the same."""
    issuer.rotate("rsa", RSA_KEY)
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims = issuer.token(algorithm="RS256").split(".")[1]
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "rsa", "typ": "JWT"}).encode()).decode()
    signed = f"{header.rstrip('=')}.{claims}"
    signature = hmac.digest(pem, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


class TestTokens:
    @pytest.mark.parametrize(
        "claims",
        [
            {},
            {"aud": ["someone", AUDIENCE]},
            {"nbf": -5},
            {"exp": -5},  # clocks differ
            {"scope": None},
        ],
    )
    async def test_one_that_is_good_passes(self, world: World, claims: dict[str, Any]) -> None:
        assert await world.status(world.issuer.token(**_from_now(claims))) == 200

    @pytest.mark.parametrize(
        ("claims", "reason"),
        [
            ({"exp": -60}, "expired"),
            ({"exp": None}, "exp"),
            ({"nbf": 60}, "not yet valid"),
            ({"aud": "https://other.example.com"}, "udience"),
            ({"aud": f"{AUDIENCE}/"}, "udience"),
            ({"aud": None}, "aud"),
            ({"iss": "https://other.example.com"}, "issuer"),
            ({"iss": None}, "iss"),
            ({"sub": None}, "sub"),
        ],
    )
    async def test_one_with_a_wrong_claim_is_refused_with_the_reason(
        self, world: World, claims: dict[str, Any], reason: str
    ) -> None:
        answer = await world.ask(world.issuer.token(**_from_now(claims)))
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_token"
        assert reason in answer.json()["error"]["message"]
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    async def test_one_without_a_signature_is_refused(self, world: World) -> None:
        claims = jwt.decode(world.issuer.token(), options={"verify_signature": False})
        for algorithm in ("none", "None", "", None, ["ES256"]):
            assert await world.status(_unsigned(claims, alg=algorithm, kid="k1")) == 401

    async def test_one_signed_by_somebody_else_is_refused(self, world: World) -> None:
        forged = world.issuer.token(key=ec.generate_private_key(ec.SECP256R1()))
        assert await world.status(forged) == 401

    async def test_a_signature_with_the_public_key_as_a_secret_is_refused(self, world: World) -> None:
        answer = await world.ask(_signed_with_the_public_key(world.issuer))
        assert answer.status_code == 401
        assert "algorithm" in answer.json()["error"]["message"]

    async def test_a_secret_key_in_the_issuers_key_set_is_of_no_use(self, world: World) -> None:
        secret = b"0123456789abcdef0123456789abcdef"
        world.issuer.publish({"kty": "oct", "kid": "hmac", "k": base64.urlsafe_b64encode(secret).rstrip(b"=").decode()})
        signed = world.issuer.token(key=secret, algorithm="HS256", headers={"kid": "hmac"})
        assert await world.status(signed) == 401
        assert await world.status(world.issuer.token(headers={"kid": "hmac"})) == 401

    async def test_a_key_is_used_with_its_own_algorithm_only(self, world: World) -> None:
        world.issuer.rotate("bound", RSA_KEY, alg="RS256")
        assert await world.status(world.issuer.token(algorithm="RS256")) == 200
        assert await world.status(world.issuer.token(algorithm="PS256")) == 401

    async def test_a_key_without_an_algorithm_takes_that_of_the_token_if_it_fits(self, world: World) -> None:
        world.issuer.rotate("free", RSA_KEY)
        assert await world.status(world.issuer.token(algorithm="PS256")) == 200
        other = world.issuer.token(key=ec.generate_private_key(ec.SECP256R1()))
        answer = await world.ask(other)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_token")

    async def test_a_key_that_is_too_short_verifies_nothing(self, world: World) -> None:
        world.issuer.rotate("short", rsa.generate_private_key(public_exponent=65537, key_size=1024))
        with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
            token = world.issuer.token(algorithm="RS256")
        assert await world.status(token) == 401

    async def test_a_key_for_encryption_verifies_nothing(self, world: World) -> None:
        world.issuer.rotate("enc", use="enc")
        assert await world.status(world.issuer.token()) == 401

    @pytest.mark.parametrize("header", ["[" * 20_000, '{"alg": "ES256", "kid": 7}', '{"alg": "ES256"}', "7", "\xff"])
    async def test_one_that_cannot_be_read_is_refused(self, world: World, header: str) -> None:
        part = base64.urlsafe_b64encode(header.encode("latin-1")).rstrip(b"=").decode()
        assert await world.status(f"{part}.e30.e30") == 401

    async def test_what_is_no_jwt_is_an_incorrect_key(self, world: World) -> None:
        answer = await world.ask("sk-wrong")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert world.fetches() == 0

    async def test_no_part_of_a_token_is_told_or_logged(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        token = world.issuer.token(sub="a-secret-subject", exp=1)
        answer = await world.ask(token)
        said = answer.text + str(answer.headers) + "".join(capsys.readouterr())
        assert [part for part in (*token.split("."), "a-secret-subject") if part in said] == []

    async def test_without_an_issuer_they_are_refused(self, world: World) -> None:
        await world.configure()
        answer = await world.ask(world.issuer.token())
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


class TestScopes:
    @pytest.mark.parametrize(
        "claims",
        [
            {"scope": "agents:ask agents:read other"},
            {"scope": None, "scp": ["agents:read", "agents:ask"]},
            {"scope": None, "scp": "agents:read agents:ask"},
        ],
    )
    async def test_a_token_with_all_of_them_passes(self, world: World, claims: dict[str, Any]) -> None:
        await world.accept(requiredScopes=["agents:ask", "agents:read"])
        assert await world.status(world.issuer.token(**claims)) == 200

    @pytest.mark.parametrize("claims", [{}, {"scope": None}, {"scope": 7}, {"scope": "agents:asker agents:read"}])
    async def test_a_token_that_lacks_one_is_told_which_there_must_be(
        self, world: World, claims: dict[str, Any]
    ) -> None:
        await world.accept(requiredScopes=["agents:ask", "agents:read"])
        answer = await world.ask(world.issuer.token(**claims))
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")
        challenge = answer.headers["www-authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert 'scope="agents:ask agents:read"' in challenge


class TestKeysOfTheIssuer:
    async def test_they_are_fetched_once(self, world: World) -> None:
        answers = await asyncio.gather(*(world.status(world.issuer.token()) for _ in range(10)))
        assert answers == [200] * 10
        assert world.fetches() == 1

    async def test_a_new_one_is_fetched_when_a_token_has_it(self, world: World) -> None:
        old = world.issuer.token()
        assert await world.status(old) == 200
        world.issuer.rotate("k2")
        world.proxy.clock.advance(10)
        assert await world.status(world.issuer.token()) == 200
        assert await world.status(old) == 200
        assert world.fetches() == 2

    async def test_unknown_ones_do_not_make_it_fetch_all_the_time(self, world: World) -> None:
        tokens = [world.issuer.token(headers={"kid": f"unknown-{number}"}) for number in range(30)]
        assert {await world.status(token) for token in tokens} == {401}
        assert world.fetches() == 1
        world.proxy.clock.advance(10)
        assert {await world.status(token) for token in tokens} == {401}
        assert world.fetches() == 2

    async def test_one_that_is_withdrawn_is_not_accepted_for_long(self, world: World) -> None:
        token = world.issuer.token()
        assert await world.status(token) == 200
        world.issuer.documents["/keys"]["keys"].clear()
        world.proxy.clock.advance(600)
        assert await world.status(token) == 200  # and has them fetched beside
        await eventually(lambda: world.fetches() == 2)
        async with asyncio.timeout(5):
            while await world.status(token) != 401:
                await asyncio.sleep(0.01)

    async def test_the_issuer_is_away_and_api_keys_go_on(self, world: World) -> None:
        del world.issuer.documents["/keys"]
        answer = await world.ask(world.issuer.token())
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "issuer_unavailable")
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        assert await world.status(KEY) == 200
        assert await world.status("sk-wrong") == 401

    async def test_known_ones_outlast_their_issuer_for_a_day(self, world: World) -> None:
        token = world.issuer.token()
        assert await world.status(token) == 200
        kept = world.issuer.documents.pop("/keys")
        world.proxy.clock.advance(23 * 3600)
        assert await world.status(token) == 200
        await eventually(lambda: world.fetches() == 2)
        world.proxy.clock.advance(3600)
        assert await world.status(token) == 503
        world.issuer.documents["/keys"] = kept
        assert await world.status(token) == 503  # not yet again
        world.proxy.clock.advance(10)
        assert await world.status(token) == 200

    @pytest.mark.parametrize(
        "document",
        [
            {"issuer": "https://other.example.com", "jwks_uri": "https://other.example.com/keys"},
            {"issuer": None},
            {"jwks_uri": None},
            {"jwks_uri": "http://127.0.0.1/keys"},
            "text",
            ["x" * 300_000],
        ],
    )
    async def test_metadata_that_cannot_be_trusted_is_not(self, world: World, document: Any) -> None:
        known = world.issuer.documents["/.well-known/openid-configuration"]
        changed = known | document if isinstance(document, dict) else document
        world.issuer.documents["/.well-known/openid-configuration"] = changed
        assert await world.status(world.issuer.token()) == 503

    @pytest.mark.parametrize("keys", [[], {"keys": None}, {"keys": {}}])
    async def test_a_key_set_that_is_none_is_not_taken_for_an_empty_one(self, world: World, keys: Any) -> None:
        world.issuer.documents["/keys"] = keys
        assert await world.status(world.issuer.token()) == 503

    async def test_metadata_of_rfc_8414_will_do(self, world: World) -> None:
        issuer, documents = world.issuer, world.issuer.documents
        found = documents.pop("/.well-known/openid-configuration")
        issuer.url = f"{issuer.url}/realms/house"
        documents["/.well-known/oauth-authorization-server/realms/house"] = found | {"issuer": issuer.url}
        await world.accept()
        assert await world.status(issuer.token()) == 200

    async def test_an_address_of_the_keys_needs_no_metadata(self, world: World) -> None:
        world.issuer.documents.pop("/.well-known/openid-configuration")
        await world.accept(jwksURI=f"{world.issuer.url}/keys")
        assert await world.status(world.issuer.token()) == 200

    async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(self, world: World) -> None:
        await world.configure(oauth=world.issuer.spec() | {"certificateAuthority": None})
        assert await world.status(world.issuer.token()) == 503

    async def test_an_authority_that_cannot_be_read_changes_nothing(self, world: World) -> None:
        assert await world.status(world.issuer.token()) == 200
        await world.accept(certificateAuthority="nonsense", audiences=["https://other.example.com"])
        assert await world.status(world.issuer.token()) == 200

    async def test_another_issuer_holds_at_once(self, world: World) -> None:
        token = world.issuer.token()
        assert await world.status(token) == 200
        await world.accept(audiences=["https://other.example.com"])
        assert await world.status(token) == 401
        world.issuer.documents["/.well-known/openid-configuration"]["issuer"] = f"{world.issuer.url}/"
        await world.accept(issuer=f"{world.issuer.url}/")
        assert await world.status(token) == 401
        assert world.fetches() == 2


class TestCallers:
    async def test_a_run_is_the_callers_and_its_subject_stands_nowhere(self, world: World) -> None:
        asked = asyncio.create_task(world.proxy.chat(key=world.issuer.token(sub="alice@example.com")))
        await (await world.proxy.pod()).answer("Hello")
        answer = await asked
        assert answer.status_code == 200
        run = world.proxy.kubernetes.object(RUNS, answer.headers["x-sympozium-run"])
        key_id = run["metadata"]["annotations"][names.ANNOTATION_KEY_ID]
        assert key_id.startswith("oauth-")
        assert "alice" not in json.dumps(run)

    async def test_all_tokens_of_a_subject_are_one_caller_and_other_subjects_are_others(self, world: World) -> None:
        headers = {"Idempotency-Key": "once"}
        asked = asyncio.create_task(world.proxy.chat(key=world.issuer.token(), headers=headers))
        await (await world.proxy.pod()).answer("Hello")
        run = (await asked).headers["x-sympozium-run"]
        renewed = await world.proxy.chat(key=world.issuer.token(azp="another-client", jti="2"), headers=headers)
        assert renewed.headers["x-sympozium-run"] == run
        other = asyncio.create_task(world.proxy.chat(key=world.issuer.token(sub="bob"), headers=headers))
        await (await world.proxy.pod(among=2)).answer("Hello")
        assert (await other).headers["x-sympozium-run"] != run

    async def test_a_response_is_read_by_its_subject_only(self, world: World) -> None:
        body = {"input": "hello", "model": "demo"}
        mine = {"Authorization": f"Bearer {world.issuer.token()}"}
        asked = asyncio.create_task(world.proxy.http.post("/v1/responses", json=body, headers=mine))
        await (await world.proxy.pod()).answer("Hello")
        path = f"/v1/responses/{(await asked).json()['id']}"
        assert (await world.proxy.http.get(path, headers=mine)).status_code == 200
        for key in (world.issuer.token(sub="bob"), KEY):
            answer = await world.proxy.http.get(path, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 404

    async def test_each_has_a_rate_limit_of_its_own(self, world: World) -> None:
        limit = {"requestsPerMinute": 60, "burstSize": 1}
        await world.configure(oauth=world.issuer.spec(), rateLimit=limit)
        codes = [
            (await world.proxy.chat(key=world.issuer.token(sub=subject), model="unknown")).status_code
            for subject in ("alice", "alice", "bob")
        ]
        assert codes == [404, 429, 404]

    async def test_metrics_have_one_label_for_all_of_them(self, world: World) -> None:
        for number in range(3):
            assert await world.status(world.issuer.token(sub=f"user-{number}")) == 200
        asked = asyncio.create_task(world.proxy.chat(key=world.issuer.token()))
        await (await world.proxy.pod()).answer("Hello")
        await asked
        metrics = (await world.proxy.http.get("/metrics")).text
        assert 'sympozium_key_requests_total{key="oauth",status="200"} 4.0' in metrics
        assert 'sympozium_tokens_total{key="oauth",type="input"} 3.0' in metrics
        assert "oauth-" not in metrics


class TestMetadata:
    @pytest.mark.parametrize("resource", ["", "/mcp", "/sse"])
    async def test_it_names_the_resource_as_its_caller_knows_it(self, world: World, resource: str) -> None:
        await world.accept(requiredScopes=["agents:ask"])
        answer = await world.proxy.http.get(f"{METADATA}{resource}")
        assert answer.json() == {
            "resource": f"{world.proxy.url}{resource}",
            "authorization_servers": [world.issuer.url],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["agents:ask"],
        }

    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ({"Host": "assistant.example.com"}, "https://assistant.example.com"),
            ({"Host": "assistant.example.com", "X-Forwarded-Proto": "http"}, "https://assistant.example.com"),
            ({"Host": "proxy.example.com", "X-Forwarded-Proto": "https"}, "https://proxy.example.com"),
            ({"Host": "proxy.example.com", "X-Forwarded-Proto": "https, http"}, "https://proxy.example.com"),
            ({"Host": "localhost:8080"}, "http://localhost:8080"),
            ({"Host": "[::1]:8080"}, "http://[::1]:8080"),
            ({"Host": 'x", evil="'}, "https://assistant.example.com"),
        ],
    )
    async def test_the_instances_own_url_counts_where_it_was_used(
        self, world: World, headers: dict[str, str], expected: str
    ) -> None:
        own = {"status": {"webEndpoint": {"enabled": True, "url": "https://assistant.example.com"}}}
        oauth = {"webEndpoint": {"oauth": world.issuer.spec()}}
        world.proxy.kubernetes.put(instance(**oauth) | own)
        await eventually(lambda: bool(world.proxy.context.instance_cache.instance.status.web_endpoint))  # type: ignore[union-attr]
        answer = await world.proxy.http.get(METADATA, headers=headers)
        assert answer.json()["resource"] == expected
        refused = await world.proxy.http.get("/v1/models", headers=headers)
        assert refused.headers["www-authenticate"] == f'Bearer resource_metadata="{expected}{METADATA}"'

    async def test_without_an_issuer_there_is_none(self, world: World) -> None:
        await world.configure()
        answer = await world.proxy.http.get(f"{METADATA}/mcp")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")

    async def test_who_brings_no_token_is_told_where_to_look_and_what_to_ask_for(self, world: World) -> None:
        await world.accept(requiredScopes=["agents:ask", "agents:read"])
        answer = await world.proxy.http.get("/v1/models")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == (
            f'Bearer resource_metadata="{world.proxy.url}{METADATA}", scope="agents:ask agents:read"'
        )
