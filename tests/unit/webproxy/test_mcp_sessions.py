"""Session ids and event ids: what was not made by a replica means nothing."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_webproxy.protocol.mcp import sessions, stream_position
from sympozium_webproxy.protocol.mcp.stream_position import StreamPosition

KEY = sessions.signing_key(b"secret", b"digest")
SESSION = sessions.begin("api-key", "2025-11-25", now=1000)


def test_a_session_id_carries_the_whole_session() -> None:
    token = sessions.seal(SESSION, KEY)
    assert sessions.unseal(token, KEY, key_id="api-key", now=1001) == SESSION
    assert token.isascii()
    assert sessions.claimed_key(token) == "api-key"


@pytest.mark.parametrize("signed", [sessions.signing_key(b"secret", None), sessions.signing_key(b"other", b"digest")])
def test_a_session_id_is_signed_for_its_instance_and_key(signed: bytes) -> None:
    assert sessions.unseal(sessions.seal(SESSION, signed), KEY, key_id="api-key", now=1001) is None


@pytest.mark.parametrize(("now", "is_known"), [(939, False), (940, True), (87_340, True), (87_341, False)])
def test_a_session_id_is_valid_for_a_day(now: float, *, is_known: bool) -> None:
    found = sessions.unseal(sessions.seal(SESSION, KEY), KEY, key_id="api-key", now=now)
    assert (found is not None) == is_known


@given(st.text(), st.integers(min_value=0, max_value=200))
def test_a_changed_session_id_is_invalid(other: str, where: int) -> None:
    token = sessions.seal(SESSION, KEY)
    changed = token[:where] + other + token[where + 1 :]
    found = sessions.unseal(changed, KEY, key_id="api-key", now=1001)
    assert found == (SESSION if changed == token else None)


def test_a_signature_is_of_one_message_of_one_session() -> None:
    token, other = (sessions.seal(one, KEY) for one in (SESSION, dataclasses.replace(SESSION, id="other")))
    signature = sessions.sign_message(token, KEY, b"body", now=1000)
    digest = sessions.signed_digest(signature, token, KEY, now=1000)
    assert digest is not None
    assert sessions.is_body_of(digest, b"body")
    assert not sessions.is_body_of(digest, b"other")
    assert sessions.signed_digest(signature, other, KEY, now=1000) is None


@pytest.mark.parametrize(("now", "is_valid"), [(939, False), (940, True), (1060, True), (1061, False)])
def test_a_signature_is_valid_for_a_minute(now: float, *, is_valid: bool) -> None:
    signature = sessions.sign_message("token", KEY, b"body", now=1000)
    assert (sessions.signed_digest(signature, "token", KEY, now=now) is not None) == is_valid


@given(st.text(), st.integers(min_value=0, max_value=200))
def test_a_changed_signature_is_invalid(other: str, where: int) -> None:
    signature = sessions.sign_message("token", KEY, b"body", now=1000)
    changed = signature[:where] + other + signature[where + 1 :]
    assert (sessions.signed_digest(changed, "token", KEY, now=1000) is not None) == (changed == signature)


def test_a_proof_is_of_one_replica() -> None:
    proof = sessions.replica_proof(b"secret", "nonce", "10.0.0.1:8080")
    assert proof != sessions.replica_proof(b"secret", "nonce", "10.0.0.2:8080")
    assert proof != sessions.replica_proof(b"secret", "other", "10.0.0.1:8080")
    assert proof != sessions.replica_proof(b"other", "nonce", "10.0.0.1:8080")


@given(
    st.builds(
        StreamPosition, st.text() | st.integers(), st.none() | st.text() | st.integers(), st.integers(min_value=0)
    )
)
def test_an_event_id_names_its_position(place: StreamPosition) -> None:
    assert stream_position.position(place.event_id()) == place


@given(st.text())
def test_an_invalid_event_id_names_no_position(text: str) -> None:
    found = stream_position.position(text)
    assert found is None or isinstance(found, StreamPosition)


@pytest.mark.parametrize("text", ["", "e30", "WzEsMiwtMV0", "W3RydWUsMSwxXQ", "W1tdLDEsMV0", "W" * 60_000])
def test_an_impossible_position_is_none(text: str) -> None:
    assert stream_position.position(text) is None
    assert sessions.claimed_key(text) == ""
