"""Access tokens of an authorization server: their signatures, claims and scopes."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.fakes.issuer import AUDIENCE, Issuer
from tests.integration.conftest import Proxy
from tests.integration.oauth_world import RSA_KEY, World, oauth_world


@pytest.fixture
async def world(proxy: Proxy, tmp_path: Path) -> AsyncIterator[World]:
    async with oauth_world(proxy, tmp_path) as world:
        yield world


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
    async def test_a_valid_token_passes(self, world: World, claims: dict[str, Any]) -> None:
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
    async def test_a_token_with_a_wrong_claim_is_refused_with_the_reason(
        self, world: World, claims: dict[str, Any], reason: str
    ) -> None:
        answer = await world.ask(world.issuer.token(**_from_now(claims)))
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_token"
        assert reason in answer.json()["error"]["message"]
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    async def test_a_token_without_a_signature_is_refused(self, world: World) -> None:
        claims = jwt.decode(world.issuer.token(), options={"verify_signature": False})
        for algorithm in ("none", "None", "", None, ["ES256"]):
            assert await world.status(_unsigned(claims, alg=algorithm, kid="k1")) == 401

    async def test_a_token_signed_with_another_key_is_refused(self, world: World) -> None:
        forged = world.issuer.token(key=ec.generate_private_key(ec.SECP256R1()))
        assert await world.status(forged) == 401

    async def test_a_signature_with_the_public_key_as_hmac_secret_is_refused(self, world: World) -> None:
        answer = await world.ask(_signed_with_the_public_key(world.issuer))
        assert answer.status_code == 401
        assert "algorithm" in answer.json()["error"]["message"]

    async def test_a_symmetric_key_in_the_issuers_key_set_verifies_nothing(self, world: World) -> None:
        secret = b"0123456789abcdef0123456789abcdef"
        world.issuer.publish({"kty": "oct", "kid": "hmac", "k": base64.urlsafe_b64encode(secret).rstrip(b"=").decode()})
        signed = world.issuer.token(key=secret, algorithm="HS256", headers={"kid": "hmac"})
        assert await world.status(signed) == 401
        assert await world.status(world.issuer.token(headers={"kid": "hmac"})) == 401

    async def test_an_issuers_key_verifies_only_its_own_algorithm(self, world: World) -> None:
        world.issuer.rotate("bound", RSA_KEY, alg="RS256")
        assert await world.status(world.issuer.token(algorithm="RS256")) == 200
        assert await world.status(world.issuer.token(algorithm="PS256")) == 401

    async def test_an_issuers_key_without_an_algorithm_takes_that_of_the_token_if_it_fits(self, world: World) -> None:
        world.issuer.rotate("free", RSA_KEY)
        assert await world.status(world.issuer.token(algorithm="PS256")) == 200
        other = world.issuer.token(key=ec.generate_private_key(ec.SECP256R1()))
        answer = await world.ask(other)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_token")

    async def test_an_issuers_key_that_is_too_short_verifies_nothing(self, world: World) -> None:
        world.issuer.rotate("short", rsa.generate_private_key(public_exponent=65537, key_size=1024))
        with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
            token = world.issuer.token(algorithm="RS256")
        assert await world.status(token) == 401

    async def test_an_issuers_key_for_encryption_verifies_nothing(self, world: World) -> None:
        world.issuer.rotate("enc", use="enc")
        assert await world.status(world.issuer.token()) == 401

    @pytest.mark.parametrize("header", ["[" * 20_000, '{"alg": "ES256", "kid": 7}', '{"alg": "ES256"}', "7", "\xff"])
    async def test_a_token_that_cannot_be_parsed_is_refused(self, world: World, header: str) -> None:
        part = base64.urlsafe_b64encode(header.encode("latin-1")).rstrip(b"=").decode()
        assert await world.status(f"{part}.e30.e30") == 401

    async def test_a_bearer_value_that_is_not_a_jwt_is_an_incorrect_key(self, world: World) -> None:
        answer = await world.ask("sk-wrong")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert world.fetches() == 0

    async def test_no_part_of_a_token_is_returned_or_logged(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        token = world.issuer.token(sub="a-secret-subject", exp=1)
        answer = await world.ask(token)
        said = answer.text + str(answer.headers) + "".join(capsys.readouterr())
        assert [part for part in (*token.split("."), "a-secret-subject") if part in said] == []

    async def test_tokens_are_refused_if_the_instance_names_no_issuer(self, world: World) -> None:
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
    async def test_a_token_with_all_required_scopes_passes(self, world: World, claims: dict[str, Any]) -> None:
        await world.accept(requiredScopes=["agents:ask", "agents:read"])
        assert await world.status(world.issuer.token(**claims)) == 200

    @pytest.mark.parametrize("claims", [{}, {"scope": None}, {"scope": 7}, {"scope": "agents:asker agents:read"}])
    async def test_the_refusal_of_a_token_that_lacks_a_scope_names_the_required_scopes(
        self, world: World, claims: dict[str, Any]
    ) -> None:
        await world.accept(requiredScopes=["agents:ask", "agents:read"])
        answer = await world.ask(world.issuer.token(**claims))
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")
        challenge = answer.headers["www-authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert 'scope="agents:ask agents:read"' in challenge
