"""The choice of a model provider: the task names it, and a task of an older replica means the OpenAI-compatible one."""

import sys

import pytest
from tests.fakes.model import TOKENS, Model
from tests.unit.agent.conftest import Pod, task_for
from tests.unit.agent.surface import replica

from sympozium_agent.loop import ModelError
from sympozium_agent.providers import provider_class
from sympozium_agent.providers.openai_compat import OpenAICompatible
from sympozium_api.agent_protocol import OPENAI_COMPAT


def test_a_provider_is_imported_by_its_name() -> None:
    assert provider_class(OPENAI_COMPAT) is OpenAICompatible
    assert OpenAICompatible.__module__ in sys.modules


def test_a_name_that_is_no_provider_is_refused() -> None:
    with pytest.raises(ModelError, match="'os'"):
        provider_class("os")


@pytest.mark.parametrize("provider", [None, OPENAI_COMPAT])
async def test_a_task_with_or_without_a_provider_is_answered(pod: Pod, model: Model, provider: str | None) -> None:
    task = task_for(model)
    if provider:
        task["model"]["provider"] = provider
    async with replica(task) as surface:
        assert await pod.run(surface) == 0
    assert surface.end["choices"][0]["message"]["content"] == "".join(TOKENS)


async def test_a_task_for_an_unknown_provider_ends_as_a_model_error(pod: Pod, model: Model) -> None:
    task = task_for(model)
    task["model"]["provider"] = "telepathy"
    async with replica(task) as surface:
        assert await pod.run(surface) == 0
    error = surface.end["error"]
    assert (error["type"], error["httpStatus"]) == ("model_error", 502)
    assert "telepathy" in error["message"]
    assert model.counts.asked == 0
