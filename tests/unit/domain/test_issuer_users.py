"""Users of an issuer: who a token is of, and the names that an issuer cannot give away."""

from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import AUDIENCE, Issuer

from sympozium_api.web_endpoint import OAuth
from sympozium_domain.callers.credentials import NotJudged, Unauthenticated
from sympozium_domain.callers.issuer_users import IssuerSettings, IssuerUsers
from sympozium_http import issuer_keys
from sympozium_http.key_set import FetchFailed

URL = "https://login.example.com"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """An issuer whose keys are fetched without a network."""
    found = Issuer(URL)

    async def fetch_keys(_: OAuth) -> dict[str, Any]:
        if not found.documents:
            raise FetchFailed("away")
        return {key["kid"]: key for key in found.documents["/keys"]["keys"]}

    monkeypatch.setattr(issuer_keys, "fetch_keys", fetch_keys)
    return found


def users(**claims: str) -> IssuerUsers:
    return IssuerUsers(IssuerSettings(OAuth(issuer=URL, audiences=[AUDIENCE]), **claims), FakeClock())


async def test_a_user_has_the_name_and_the_groups_of_its_claims(issuer: Issuer) -> None:
    token = issuer.token(email="a@example.com", roles=["dev", "system:masters", 7, ""])
    caller = await users(username_claim="email", groups_claim="roles").caller(token)
    assert caller.subject
    assert (caller.subject.user, caller.subject.groups) == ("a@example.com", ("dev", "system:authenticated"))
    assert (caller.user, caller.is_admin, caller.namespace) == ("a@example.com", False, None)
    assert caller.key_id
    assert caller.key_id.startswith("oidc-")
    assert "alice" not in caller.key_id


async def test_one_group_may_be_a_text(issuer: Issuer) -> None:
    caller = await users().caller(issuer.token(groups="dev"))
    assert caller.subject
    assert caller.subject.groups == ("dev", "system:authenticated")


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "system:admin"},
        {"sub": "system:serviceaccount:kube-system:default"},
        {"aud": "another"},
        {"iss": "https://elsewhere.example.com"},
        {"exp": 1},
        {"exp": None},
    ],
)
async def test_a_token_of_another_or_of_a_name_of_kubernetes_is_refused(issuer: Issuer, claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        await users().caller(issuer.token(**claims))


@pytest.mark.parametrize("claims", [{}, {"email": 7}, {"email": ""}, {"email": "a@b", "email_verified": False}])
async def test_a_token_without_a_verified_name_is_refused(issuer: Issuer, claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated, match="email"):
        await users(username_claim="email").caller(issuer.token(**claims))


async def test_a_token_is_not_judged_while_the_issuer_is_away(issuer: Issuer) -> None:
    token = issuer.token()
    issuer.documents.clear()
    with pytest.raises(NotJudged) as refusal:
        await users().caller(token)
    assert refusal.value.retry_after > 0
