"""Names of a session's turns: unique by session and number, and short enough for an AgentRun."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_api import names
from sympozium_api.base import Metadata
from sympozium_domain.callers.caller import Caller, Subject, admin, kubernetes_user
from sympozium_domain.sessions.session import Session

SESSION = Session("demo", "uid-1", "alice", "s1")


def run(name: str, label: str = SESSION.label) -> Metadata:
    return Metadata(name=name, labels={names.LABEL_SESSION: label})


@given(st.text(), st.text(), st.integers(1, 9_999_999))
def test_a_turns_run_has_a_valid_name_that_leads_back_to_its_number(scope: str, key: str, turn: int) -> None:
    session = Session("a" * 40, "uid-1", scope, key)
    name = session.run_of(turn)
    assert re.fullmatch(names.DNS_LABEL, name)
    assert session.turn_of(run(name, session.label)) == turn
    assert re.fullmatch("[0-9a-f]{32}", session.label)


@pytest.mark.parametrize(
    "other",
    [
        Session("demo", "uid-2", "alice", "s1"),
        Session("demo", "uid-1", "bob", "s1"),
        Session("demo", "uid-1", "alice", "s2"),
        Session("demo", "uid-1", "alices", "1"),
    ],
    ids=["created again", "another scope", "another key", "the same letters"],
)
def test_other_sessions_have_other_names_and_labels(other: Session) -> None:
    assert other.run_of(1) != SESSION.run_of(1)
    assert other.label != SESSION.label
    assert other.turn_of(run(SESSION.run_of(1))) is None


@pytest.mark.parametrize("suffix", ["", "0", "01", "x", "1x", "-1", "٣"])
def test_a_run_with_another_name_is_no_turn(suffix: str) -> None:
    assert SESSION.turn_of(run(SESSION.run_of(1)[:-1] + suffix)) is None


def test_keys_of_a_user_share_sessions_and_users_of_another_kind_do_not() -> None:
    keys = [Caller("token", key_id, namespace="default").identity for key_id in ("key-1", "key-2")]
    others = [admin("token").identity, kubernetes_user(Subject("token"), "k").identity]
    assert keys[0] == keys[1]
    assert len({keys[0], *others}) == 3


def test_a_run_without_the_sessions_label_is_no_turn() -> None:
    assert SESSION.turn_of(run(SESSION.run_of(1), "f" * 32)) is None
    assert SESSION.turn_of(Metadata(name=SESSION.run_of(1))) is None


def test_turns_are_in_the_order_of_their_numbers_not_of_their_names() -> None:
    found = SESSION.turns(map(run, (SESSION.run_of(turn) for turn in (10, 9, 2))))
    assert list(found) == [2, 9, 10]


def test_an_idempotency_key_is_of_one_session_and_one_callers_key() -> None:
    labels = {
        SESSION.idempotency_label("a", "k"),
        SESSION.idempotency_label("b", "k"),
        SESSION.idempotency_label("a", "l"),
        Session("demo", "uid-1", "alice", "s2").idempotency_label("a", "k"),
    }
    assert len(labels) == 4
