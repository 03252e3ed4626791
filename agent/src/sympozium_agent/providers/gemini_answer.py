"""Events of Gemini's ``streamGenerateContent`` as OpenAI-shaped chunks. Pure. Rules: Google's reference, "GenerateContentResponse"."""

from __future__ import annotations

import json

from sympozium_agent.completion.finish_reason import finish_reason, is_failure
from sympozium_agent.loop import ModelError
from sympozium_agent.providers.chunk_parser import reported
from sympozium_agent.providers.gemini_request import SIGNATURE_FORMAT
from sympozium_api.model_refusal import ModelRefusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Object = dict[str, Any]


class GeminiAnswer:
    """Translation of one answer: a stream's events, or a list of them."""

    is_done = False
    """Gemini marks no end: the count of tokens may come after the finish reason."""

    def __init__(self) -> None:
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._calls: dict[int, int] = {}
        """Number of tool calls so far, by candidate."""
        self._counted: Object = {}

    @property
    def is_finished(self) -> bool:
        """True if there is a candidate, and each one has a finish reason."""
        return bool(self._finished) and not self._begun - self._finished

    def chunks(self, value: Any) -> list[Object]:
        """Return the chunks that an event makes. Raises ModelError."""
        if isinstance(value, list):
            return [chunk for item in value for chunk in self.chunks(item)]
        if not isinstance(value, dict):
            raise ModelError("The model's answer is malformed: not an object.")
        if value.get("error"):
            raise reported(value)
        candidates = value.get("candidates") or []
        if not isinstance(candidates, list) or not all(isinstance(candidate, dict) for candidate in candidates):
            raise ModelError("The model's answer is malformed: its candidates are not objects.")
        self._check_prompt(value.get("promptFeedback"))
        chunks = [chunk for candidate in candidates for chunk in self._candidate(candidate)]
        if isinstance(usage := value.get("usageMetadata"), dict) and (counts := _counts(usage)) != self._counted:
            self._counted = counts
            chunks.append({"choices": [], "usage": counts})
        return chunks

    def _check_prompt(self, feedback: Any) -> None:
        if isinstance(feedback, dict) and (reason := feedback.get("blockReason")):
            text = f"The model refused the prompt: {reason}."
            raise ModelError(ModelRefusal(text, code="content_filter", type="invalid_request_error"), 400)

    def _candidate(self, candidate: Object) -> list[Object]:
        given = candidate.get("index")
        index = given if type(given) is int else 0
        self._begun.add(index)
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        deltas = [delta for part in parts or [] if isinstance(part, dict) for delta in self._part(index, part)]
        choices: list[Object] = [{"index": index, "delta": delta} for delta in deltas]
        if logprobs := _logprobs(candidate.get("logprobsResult")):
            choices.append({"index": index, "delta": {}, "logprobs": {"content": logprobs}})
        if isinstance(reason := candidate.get("finishReason"), str) and reason != "FINISH_REASON_UNSPECIFIED":
            if is_failure(reason):
                raise ModelError(f"The model reported an error: finishReason '{reason}'.")
            self._finished.add(index)
            word = finish_reason(reason, has_tool_calls=bool(self._calls.get(index)), has_function_call=False)
            choices.append({"index": index, "delta": {}, "finish_reason": word})
        return [{"choices": [choice]} for choice in choices]

    def _part(self, index: int, part: Object) -> list[Object]:
        signature = part.get("thoughtSignature")
        match part:
            case {"functionCall": {"name": str(name), **call}}:
                number = self._calls.get(index, 0)
                self._calls[index] = number + 1
                function = {"name": name, "arguments": json.dumps(call.get("args") or {}, ensure_ascii=False)}
                head: Object = {"index": number, "type": "function", "function": function}
                if isinstance(call.get("id"), str):
                    head["id"] = call["id"]
                if isinstance(signature, str):
                    head["extra_content"] = {"google": {"thought_signature": signature}}
                return [{"tool_calls": [head]}]
            case {"text": str(text), "thought": True}:
                return [{"reasoning_content": text}] if text else []
            case {"text": str(text)}:
                deltas: list[Object] = [{"content": text}] if text else []
                if isinstance(signature, str):
                    detail = {"type": "reasoning.encrypted", "data": signature, "format": SIGNATURE_FORMAT, "index": 0}
                    deltas.append({"reasoning_details": [detail]})
                return deltas
            case {"inlineData": {"mimeType": str(media_type), "data": str(data)}}:
                image = {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}
                return [{"content": [image]}]
        return []


def _counts(usage: Object) -> Object:
    """Return Gemini's counts as OpenAI's, whose completion includes the reasoning."""
    prompt = _number(usage, "promptTokenCount") + _number(usage, "toolUsePromptTokenCount")
    reasoning = _number(usage, "thoughtsTokenCount")
    completion = _number(usage, "candidatesTokenCount") + reasoning
    counts: Object = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if "cachedContentTokenCount" in usage:
        counts["prompt_tokens_details"] = {"cached_tokens": _number(usage, "cachedContentTokenCount")}
    if "thoughtsTokenCount" in usage:
        counts["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return counts


def _logprobs(result: Any) -> list[Object]:
    """Return the log probabilities of the chosen tokens, each with those of the tokens that were likely in its place."""
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    if not isinstance(chosen, list):
        return []
    tops = [top.get("candidates") or [] for top in result.get("topCandidates") or [] if isinstance(top, dict)]
    tops += [[]] * (len(chosen) - len(tops))
    return [
        _token(one) | {"top_logprobs": [_token(other) for other in top]} for one, top in zip(chosen, tops, strict=False)
    ]


def _token(candidate: Object) -> Object:
    token = str(candidate.get("token") or "")
    return {"token": token, "logprob": candidate.get("logProbability"), "bytes": list(token.encode(errors="replace"))}


def _number(usage: Object, name: str) -> int:
    value = usage.get(name)
    return value if type(value) is int else 0
