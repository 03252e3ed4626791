"""Records that wait to be read: all that they say is kept, in a tenth of the memory."""

import itertools
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sympozium_api.agent_records import Delta, Record
from sympozium_http.byte_budget import ByteBudget
from sympozium_runs.broker import RunBroker
from sympozium_runs.record_buffer import RecordBuffer

KEY = ("default", "r1")
MANY = 2000
FINGERPRINT = {"system_fingerprint": "fp_44709d6fcb", "service_tier": "default"}


def piece(text: str, **choice: Any) -> Delta:
    return {"type": "delta", "choices": [{"index": 0, "delta": {"content": text}} | choice], "about": FINGERPRINT}


def call_piece(text: str, call: int = 0) -> Delta:
    delta = {"tool_calls": [{"index": call, "function": {"arguments": text}}]}
    return {"type": "delta", "choices": [{"index": 0, "delta": delta}]}


def filled(records: list[Record], budget: ByteBudget | None = None) -> RecordBuffer:
    buffer = RecordBuffer(budget or ByteBudget())
    for record in records:
        buffer.append(record, len(json.dumps(record)))
    return buffer


def taken(buffer: RecordBuffer) -> list[Record]:
    return list(iter(buffer.take, None))


def said(records: list[Record]) -> list[Any]:
    """Return what deltas say, in order, however their texts were cut."""
    pieces: list[tuple[Any, Any]] = []
    for record in records:
        for choice in record["choices"]:  # type: ignore[typeddict-item]
            for key, value in choice["delta"].items():
                call = value[0] if key == "tool_calls" else None
                where = (choice["index"], key, call and call["index"], str(choice.get("logprobs")))
                pieces.append((where, call["function"]["arguments"] if call else value))
    return [
        (where, "".join(text for _, text in group)) for where, group in itertools.groupby(pieces, lambda one: one[0])
    ]


deltas = st.one_of(
    st.builds(piece, st.text(max_size=5)),
    st.builds(piece, st.text(max_size=5), index=st.integers(0, 1)),
    st.builds(piece, st.just("!"), logprobs=st.just({"content": [{"token": "!"}]})),
    st.builds(call_piece, st.text(max_size=5), st.integers(0, 1)),
)


@settings(max_examples=20)
@given(st.lists(deltas, min_size=70, max_size=120))
def test_what_is_packed_says_the_same(records: list[Record]) -> None:
    assert said(taken(filled(records))) == said(records)


def test_log_probabilities_of_the_same_token_are_not_merged() -> None:
    same: list[Record] = [piece("!", logprobs={"content": [{"token": "!", "logprob": -1}]}) for _ in range(MANY)]
    assert len(taken(filled(same))) == MANY


def test_a_reader_without_delay_gets_each_record() -> None:
    buffer = RecordBuffer(ByteBudget())
    for number in range(MANY):
        record = piece(str(number))
        buffer.append(record, 100)
        assert buffer.take() is record
    assert not buffer


def test_all_bytes_are_counted_until_they_are_taken() -> None:
    budget = ByteBudget()
    buffer = filled([piece("word", index=number % 2) for number in range(MANY)], budget)
    joined = buffer.duplicate()
    assert budget.used == buffer.size + joined.size > MANY
    taken(buffer)
    joined.clear()
    assert (budget.used, bool(buffer), bool(joined)) == (0, False, False)


@pytest.mark.parametrize("keeps_history", [False, True])
def test_an_answer_under_way_takes_a_few_bytes_per_token(keeps_history: bool) -> None:
    broker = RunBroker()
    broker.subscribe(KEY, keeps_history=keeps_history)  # a caller that reads nothing
    lines = [json.dumps(piece(" word")) for _ in range(6000)]
    tracemalloc.start()
    for line in lines:
        broker.publish(KEY, json.loads(line), len(line))
    held = tracemalloc.get_traced_memory()[0] / len(lines)
    tracemalloc.stop()
    assert held < 80  # bytes; a dict of each record takes 1600
