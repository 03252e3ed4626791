"""Cookies of sessions: what they say, until when, and who can read them."""

import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from tests.fakes.clock import FakeClock

from sympozium_console.browser_sessions import BrowserSessions, CookieKeys, CookieTooLarge, NoCookieKeys
from sympozium_domain.callers.caller import Subject
from sympozium_domain.callers.credential_reference import CredentialReference

SUBJECT = Subject("ada", ("system:authenticated", "team"))
REFERENCE = CredentialReference("user", "oidc-1", subject=SUBJECT, issuer="https://login.example.com")


def sessions(folder: Path, clock: FakeClock) -> BrowserSessions:
    return BrowserSessions(CookieKeys(folder, clock.monotonic), clock)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "COOKIE_KEY_1").write_bytes(Fernet.generate_key())
    return tmp_path


def test_a_cookie_gives_its_reference_back_and_shows_nothing_of_it(folder: Path, clock: FakeClock) -> None:
    cookie = sessions(folder, clock).cookie(REFERENCE)
    read = sessions(folder, clock).read(cookie)
    assert read is not None
    assert read.reference == REFERENCE
    assert "ada" not in cookie


def test_a_session_ends_with_its_token(folder: Path, clock: FakeClock) -> None:
    now = clock.now().timestamp()
    cookie = sessions(folder, clock).cookie(replace(REFERENCE, expires_at=now + 60))
    clock.advance(59)
    assert sessions(folder, clock).read(cookie) is not None
    clock.advance(2)
    assert sessions(folder, clock).read(cookie) is None


@pytest.mark.parametrize("words", [b'{"kind": "token", "id": "t", "later": 1}', b'{"kind": "token"}', b"[]"])
def test_a_cookie_of_another_version_is_no_session(folder: Path, clock: FakeClock, words: bytes) -> None:
    fernet = Fernet((folder / "COOKIE_KEY_1").read_bytes())
    cookie = fernet.encrypt_at_time(zlib.compress(words), int(clock.now().timestamp())).decode()
    assert sessions(folder, clock).read(cookie) is None


def test_a_user_with_too_many_groups_gets_no_cookie(folder: Path, clock: FakeClock) -> None:
    groups = tuple(Fernet.generate_key().decode() for _ in range(100))
    with pytest.raises(CookieTooLarge):
        sessions(folder, clock).cookie(replace(REFERENCE, subject=Subject("ada", groups)))


def test_without_keys_there_are_no_sessions(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "COOKIE_KEY_1").write_text("too short")
    with pytest.raises(NoCookieKeys):
        sessions(tmp_path, clock).cookie(REFERENCE)
