"""History of a session: what a turn begins with, after turns that answered and turns that did not, within its bound."""

import json
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_api import names
from sympozium_api.json_text import json_text
from sympozium_api.run import AgentRun
from sympozium_domain.sessions.history import History, bounded, continued, estimated_tokens, history_after

Message = dict[str, Any]
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
ASKED, ANSWERED = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello"}


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str, **fields: Any) -> Message:
    return {"role": "assistant", "content": text} | fields


def turn(*messages: Message, history: int = 0, left_out: int = 0, **status: Any) -> AgentRun:
    """Return the run of a turn with these messages, of which the first ``history`` are of turns before."""
    counts = {names.ANNOTATION_SESSION_HISTORY: history, names.ANNOTATION_SESSION_LEFT_OUT: left_out}
    text = json_text(json.dumps({"messages": messages}))
    return AgentRun.model_validate(
        {
            "metadata": {"name": "q", "annotations": {name: str(count) for name, count in counts.items() if count}},
            "spec": {"agentRef": "demo", "requestText": text.field},
            "status": {"phase": "Succeeded", "result": "Hello"} | status,
        }
    )


class TestAfterATurn:
    def test_that_answered_its_messages_and_its_answer_are_in_it(self) -> None:
        run = turn(ASKED, ANSWERED, user("again"), history=2, left_out=4)
        assert history_after(run) == History((ASKED, ANSWERED, user("again"), assistant("Hello")), 4)

    def test_that_called_the_callers_function_the_call_is_in_it(self) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [CALL]}}
        run = turn(ASKED, result="", answer={"json": json.dumps({"choices": [choice]})})
        assert history_after(run).messages[-1] == {"role": "assistant", "content": None, "tool_calls": [CALL]}

    @pytest.mark.parametrize("phase", ["Failed", "Cancelled"])
    def test_that_did_not_answer_is_as_it_was_before(self, phase: str) -> None:
        error = {"type": "timeout", "message": "Late.", "httpStatus": 504}
        run = turn(ASKED, ANSWERED, user("again"), history=2, phase=phase, result=None, error=error)
        assert history_after(run) == History([ASKED, ANSWERED], 0)

    def test_whose_question_cannot_be_read_is_empty_and_says_so(self) -> None:
        run = turn(ASKED, ANSWERED, user("again"), history=2, left_out=1)
        lost = {"parts": 2, "sha256": "0" * 64, "bytes": 10}
        body = run.model_dump(by_alias=True, exclude_none=True)
        body["spec"]["requestText"] = lost
        assert history_after(AgentRun.model_validate(body)) == History((), 5)

    def test_whose_answer_cannot_be_read_is_as_it_was_before_and_says_so(self) -> None:
        run = turn(ASKED, ANSWERED, user("again"), history=2, result=None, answer={"json": "{"})
        assert history_after(run) == History([ASKED, ANSWERED], 2)

    @pytest.mark.parametrize("count", ["-1", "many", "9" * 30, "7"])
    def test_whose_annotation_is_no_count_of_its_messages_harms_nobody(self, count: str) -> None:
        run = turn(ASKED, phase="Failed", result=None)
        run.metadata.annotations[names.ANNOTATION_SESSION_HISTORY] = count
        assert list(history_after(run).messages) in ([], [ASKED])

    @pytest.mark.parametrize("messages", ['"text"', "[1]", '[{"content": "x"}]', "{}"])
    def test_whose_messages_are_none_is_empty(self, messages: str) -> None:
        body = turn(ASKED).model_dump(by_alias=True, exclude_none=True)
        body["spec"]["requestText"] = {"json": f'{{"messages": {messages}}}'}
        assert history_after(AgentRun.model_validate(body)).messages == ()


class TestABoundedHistory:
    LONG = "word " * 400

    def test_within_its_bound_is_whole(self) -> None:
        history = History((ASKED, ANSWERED), 3)
        assert bounded(history, 100) is history

    def test_loses_its_oldest_turns(self) -> None:
        history = History((user(self.LONG), assistant("a"), user("b"), assistant("c")), 3)
        assert bounded(history, 100) == History([user("b"), assistant("c")], 5)

    def test_never_begins_with_the_result_of_a_call_that_is_left_out(self) -> None:
        result = {"role": "tool", "tool_call_id": "c1", "content": "sunny"}
        messages = (user(self.LONG), assistant("", tool_calls=[CALL]), result, assistant("Sunny."), user("b"))
        assert list(bounded(History(messages), 100).messages) == [user("b")]

    def test_keeps_the_instructions_that_the_conversation_begins_with(self) -> None:
        system = {"role": "system", "content": "Be kind."}
        history = bounded(History((system, user(self.LONG), assistant("a"), user("b"), assistant("c"))), 100)
        assert history == History([system, user("b"), assistant("c")], 2)

    def test_of_one_turn_that_is_too_long_is_empty(self) -> None:
        assert bounded(History((user(self.LONG), assistant(self.LONG))), 100) == History([], 2)

    def test_counts_an_image_as_the_model_does_and_not_its_data(self) -> None:
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
        assert estimated_tokens({"role": "user", "content": [{"type": "text", "text": "what?"}, image]}) < 1100

    def test_counts_a_text_by_its_bytes(self) -> None:
        assert estimated_tokens(user("a" * 400)) == 104
        assert estimated_tokens(user("文" * 400)) == 304


MESSAGES = st.lists(
    st.one_of(
        st.builds(user, st.text(max_size=60)),
        st.builds(assistant, st.text(max_size=60)),
        st.just(assistant("", tool_calls=[CALL])),
        st.just({"role": "tool", "tool_call_id": "c1", "content": "sunny"}),
        st.just({"role": "system", "content": "Be kind."}),
    ),
    max_size=12,
)


@given(MESSAGES, st.integers(0, 200), st.integers(0, 5))
def test_a_bounded_history_is_within_its_bound_ends_as_it_did_and_counts_what_it_lost(
    messages: list[Message], most: int, left_out: int
) -> None:
    kept = bounded(History(messages, left_out), most)
    assert sum(map(estimated_tokens, kept.messages)) <= most
    assert kept.left_out - left_out == len(messages) - len(kept.messages)
    others = [message for message in kept.messages if message["role"] != "system"]
    assert others == [message for message in messages if message["role"] != "system"][-len(others) :] or not others
    leading = len(list(takewhile(lambda message: message["role"] == "system", messages)))
    if len(kept.messages) < len(messages) and len(kept.messages) > leading:
        assert kept.messages[leading]["role"] in ("user", "system")


class TestAContinuedBody:
    def test_keeps_the_text_of_what_its_caller_wrote(self) -> None:
        text = '{"temperature":0.50,"messages":[ {"role":"user","content":"b","n":1e3}],"tools":[]}'
        body, whole = continued(History((ASKED, ANSWERED)), json.loads(text), text)
        assert whole is not None
        assert json.loads(whole) == body
        assert '"temperature":0.50' in whole
        assert whole.count('{"role":"user","content":"b","n":1e3}') == 1
        assert body["messages"][:2] == [ASKED, ANSWERED]

    def test_of_a_task_has_no_text(self) -> None:
        body, text = continued(History((ASKED, ANSWERED)), {"messages": [user("b")]}, None)
        assert (body, text) == ({"messages": [ASKED, ANSWERED, user("b")]}, None)

    def test_of_the_first_turn_is_its_own(self) -> None:
        body = {"messages": [user("b")]}
        assert continued(History(), body, "text") == (body, "text")
