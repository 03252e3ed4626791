"""Parameters that an instance adds to its requests to the model, and its ceiling of an answer's tokens. Pure.

Requests are members as JSON texts (``json_members``). What a caller sent keeps its text, unless it is above the ceiling.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field

from sympozium_api.base import ApiModel, rule, rules
from sympozium_api.json_members import compact

MAX_TOKENS = "max_tokens"
MAX_COMPLETION_TOKENS = "max_completion_tokens"
_CEILED = (MAX_TOKENS, MAX_COMPLETION_TOKENS)
_OPENAI_HOSTS = (".openai.com", ".azure.com")
"""Ends of the hosts whose reasoning models refuse ``max_tokens``. Other servers may know nothing else."""
_CHAT_ONLY = (MAX_COMPLETION_TOKENS, "reasoning_effort", "verbosity")
"""Parameters that a legacy completion does not have."""

Stop = Annotated[str, Field(min_length=1, max_length=256)]


class ModelParams(ApiModel):
    """Sampling parameters, under the names of OpenAI's API because the model is sent them as they are."""

    model_config = ConfigDict(
        alias_generator=None,
        json_schema_extra=rules(
            rule(
                "!(has(self.max_tokens) && has(self.max_completion_tokens))",
                "set max_tokens or max_completion_tokens, whichever the model server knows",
            )
        ),
    )

    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    """Sampling temperature. Higher values make answers more random."""
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    """Share of the probability mass that is sampled from."""
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    """Largest number of tokens of an answer. Model servers other than OpenAI's know this name."""
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    """The same as ``max_tokens``, under the name that OpenAI's reasoning models require. Legacy completions are sent ``max_tokens``."""
    stop: Annotated[list[Stop] | None, Field(min_length=1, max_length=4)] = None
    """Texts at which the answer ends."""
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    """Penalty of tokens that occur in the text so far."""
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    """Penalty of tokens by their number in the text so far."""
    seed: int | None = None
    """Seed of the sampling. Model servers then try to repeat answers."""
    reasoning_effort: Annotated[str | None, Field(min_length=1, max_length=32)] = None
    """Effort of a reasoning model, such as ``low``. Legacy completions are not sent it."""
    verbosity: Literal["low", "medium", "high"] | None = None
    """Length of a model's answers, where the model has this parameter. Legacy completions are not sent it."""

    def members(self, *, chat: bool) -> dict[str, str]:
        """Return the parameters of a chat completion or of a legacy completion as JSON texts."""
        values: dict[str, Any] = self.model_dump(exclude_none=True)
        if not chat:
            longest = self.max_tokens or self.max_completion_tokens
            values = {name: value for name, value in values.items() if name not in _CHAT_ONLY}
            values |= {MAX_TOKENS: longest} if longest else {}
        return {name: compact(value) for name, value in values.items()}


def complete(
    request: Mapping[str, str], params: ModelParams, ceiling: int | None, *, chat: bool, base_url: str
) -> dict[str, str]:
    """Return a request with the parameters that its caller did not send, and with at most ``ceiling`` tokens for the answer.

    null counts as not sent. Of the two names for the answer's tokens, what a caller sent under either wins over a default under
    the other. ``chat``: the request has messages; ``base_url`` is the model server's.
    """
    sent = {name: text for name, text in request.items() if text != "null"}
    longest_sent = any(name in sent for name in _CEILED)
    defaults = params.members(chat=chat)
    added = {n: t for n, t in defaults.items() if n not in sent and not (longest_sent and n in _CEILED)}
    completed = dict(request) | added
    return completed | _limits(completed, params, ceiling, chat=chat, base_url=base_url) if ceiling else completed


def above(ceiling: int | None, value: Any) -> bool:
    """Return true if a caller's value for the answer's tokens has to be lowered to the ceiling; None is no value."""
    if ceiling is None or value is None:
        return False
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return not is_number or not 0 <= value <= ceiling  # a server may take -1 for no limit, and a text for its number


def _limits(
    request: Mapping[str, str], params: ModelParams, ceiling: int, *, chat: bool, base_url: str
) -> dict[str, str]:
    """Return the limits of an answer's tokens that differ from a request's: none is above the ceiling, and there is one.

    Servers that know only ``max_tokens`` get it beside the other name, which they ignore. OpenAI refuses both together.
    """
    sent = {name: _value(request[name]) for name in _CEILED if request.get(name, "null") != "null"}
    limits = {name: ceiling for name, value in sent.items() if above(ceiling, value)}
    name = _name(params, base_url, chat=chat)
    if not sent or (name == MAX_TOKENS and MAX_TOKENS not in sent and not _is_openai(base_url)):
        limits[name] = min((sent | limits).values(), default=ceiling)
    return {name: compact(value) for name, value in limits.items()}


def _value(text: str) -> Any:
    """Return a member's value; its text, which is no number either, if Python cannot hold it: more digits or lists than it takes."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _name(params: ModelParams, base_url: str, *, chat: bool) -> str:
    """Return the name under which a model server is sent the largest number of an answer's tokens."""
    if not chat or params.max_tokens is not None:
        return MAX_TOKENS
    if params.max_completion_tokens is not None or _is_openai(base_url):
        return MAX_COMPLETION_TOKENS
    return MAX_TOKENS


def _is_openai(base_url: str) -> bool:
    try:
        host = urlsplit(base_url).hostname
    except ValueError:  # no address: whoever calls it says so
        return False
    return f".{host or ''}".endswith(_OPENAI_HOSTS)
