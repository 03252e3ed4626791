from sympozium_agent.completion import CompletionAccumulator
from sympozium_agent.loop import CallModel, Finish, converse


def test_a_run_asks_the_model_once_and_finishes_with_its_answer() -> None:
    steps = converse({"model": '"m"', "messages": "[]"})
    assert next(steps) == CallModel({"model": '"m"', "messages": "[]"})
    answer = CompletionAccumulator()
    answer.add(
        {
            "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}],
            "usage": {"total_tokens": 2},
            "system_fingerprint": "fp",
        }
    )
    answer.close()
    assert steps.send(answer) == Finish(answer.choices(), {"total_tokens": 2}, {"system_fingerprint": "fp"})
