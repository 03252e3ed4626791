"""Pieces of an answer, counted in characters, from whichever records a replica has."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_api.agent_records import Delta, Done
from sympozium_domain.answer_pieces import AnswerPieces, Piece

WHOLE = {"reasoning_content": "hmm", "content": "Hello", "refusal": "no"}


def delta(**fields: Any) -> Delta:
    return cast(Delta, {"type": "delta", "choices": [{"index": 0, "delta": fields}]})


def done(**message: Any) -> Done:
    return cast(Done, {"type": "done", "choices": [{"index": 0, "message": message}], "usage": {}, "durationMs": 1})


def text(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


class TestAStream:
    def test_counts_the_characters_up_to_each_piece(self) -> None:
        pieces = AnswerPieces()
        sent = [*pieces.of_delta(delta(role="assistant", content="Hel")), *pieces.of_delta(delta(content="lo"))]
        assert sent == [Piece("content", "Hel", 3), Piece("content", "lo", 5)]
        assert list(pieces.rest(done(content="Hello"))) == []

    def test_sends_at_the_end_what_did_not_come(self) -> None:
        pieces = AnswerPieces()
        list(pieces.of_delta(delta(content="Hel")))
        assert list(pieces.rest(done(content="Hello"))) == [Piece("content", "lo", 5)]

    def test_leaves_out_a_piece_of_a_part_that_a_later_one_has_closed_and_repeats_nothing(self) -> None:
        pieces = AnswerPieces()
        sent = [*pieces.of_delta(delta(content="Hello")), *pieces.of_delta(delta(reasoning="late"))]
        assert text(sent) == "Hello"
        assert list(pieces.rest(done(reasoning_content="late", content="Hello!"))) == [Piece("content", "!", 6)]

    def test_sends_the_first_choice_only(self) -> None:
        other = cast(Delta, {"type": "delta", "choices": [{"index": 1, "delta": {"content": "x"}}]})
        assert list(AnswerPieces().of_delta(other)) == []

    @pytest.mark.parametrize("odd", [{"choices": []}, {"choices": [{"index": 0, "message": None}]}])
    def test_sends_nothing_of_an_answer_without_text(self, odd: Any) -> None:
        assert list(AnswerPieces().rest(cast(Done, {"type": "done"} | odd))) == []
        assert list(AnswerPieces().of_delta(delta(content=None, tool_calls=[{}]))) == []


@given(after=st.integers(0, 12), cuts=st.lists(st.integers(0, 5), max_size=6), lost=st.booleans())
def test_a_caller_that_continues_gets_each_character_once(*, after: int, cuts: list[int], lost: bool) -> None:
    """However the model cut the text, and whether a replica has the pieces or only the end."""
    whole = "".join(WHOLE.values())
    pieces, sent = AnswerPieces(after), list[Piece]()
    ends = sorted({*cuts, 5})
    if not lost:
        sent += pieces.of_delta(delta(reasoning_content="hmm"))
        for start, end in zip([0, *ends], ends, strict=False):
            sent += pieces.of_delta(delta(content="Hello"[start:end]))
    sent += pieces.rest(done(**WHOLE))
    assert text(sent) == whole[after:]
    assert [piece.after for piece in sent][-1:] == ([len(whole)] if after < len(whole) else [])
