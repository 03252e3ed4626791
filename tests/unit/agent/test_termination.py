import json

from hypothesis import given
from hypothesis import strategies as st

from sympozium_agent.termination import termination_message
from sympozium_api.agent_protocol import error
from sympozium_api.agent_records import Done, End
from sympozium_api.environment import TERMINATION_MESSAGE_BYTES


def done(content: str) -> End:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return Done(type="done", choices=[choice], usage={}, durationMs=12)


def test_an_answer_that_fits_is_kept() -> None:
    assert json.loads(termination_message(done("short"))) == done("short")


def test_an_answer_that_does_not_fit_is_an_error_and_keeps_its_duration() -> None:
    record = json.loads(termination_message(done("x" * 4096)))
    assert (record["type"], record["error"]["type"], record["durationMs"]) == ("error", "answer_not_delivered", 12)


def test_a_long_error_is_shortened() -> None:
    record = json.loads(termination_message(error("model_error", "\x00" * 4096, 429)))
    assert (record["error"]["type"], record["error"]["httpStatus"]) == ("model_error", 429)


@given(st.one_of(st.text(max_size=5000).map(done), st.text(max_size=5000).map(lambda text: error("t", text, 500))))
def test_a_termination_message_is_always_json_that_the_kubelet_does_not_cut(end: End) -> None:
    message = termination_message(end)
    assert len(message.encode()) <= TERMINATION_MESSAGE_BYTES
    assert json.loads(message)["type"] in ("done", "error")
