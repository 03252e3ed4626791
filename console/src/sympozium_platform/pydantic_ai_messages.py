"""The messages of a run as pydantic-ai's ``ModelMessagesTypeAdapter`` reads them (decision 0091). Pure.

The library itself is in the tests only: its import takes seconds and 30 MB.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sympozium_domain.stored_runs.stored_run import StoredRun

Message = dict[str, Any]

_INSTRUCTS = ("system", "developer")


def of_run(run: StoredRun) -> list[Message] | None:
    """Return the whole conversation of a run, up to its answer; None if the run's content is not kept any more.

    What tools returned is not kept: of a call that failed the content is the error, of another one null.
    """
    if run.content is None:
        return None
    at = run.created_at.isoformat()
    prompt = run.content.get("systemPrompt")
    given = [{"role": "system", "content": prompt}, *run.messages] if prompt else run.messages
    return _joined([*_of_request(given, at), *_of_answer(run)])


def text_of(content: Any) -> str:
    """Return the text of a message's content in OpenAI's form."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _of_request(messages: Iterable[Message], at: str) -> Iterator[Message]:
    names: dict[str, str] = {}
    for message in messages:
        content = message.get("content")
        match message.get("role"):
            case "assistant":
                calls = [_call(call, names) for call in message.get("tool_calls") or () if isinstance(call, dict)]
                texts = [{"part_kind": "text", "content": text_of(content)}] if content else []
                yield _response([*texts, *calls], at)
            case "tool":
                call_id = str(message.get("tool_call_id") or "")
                yield _request(_returned(names.get(call_id, ""), call_id, text_of(content), at), at)
            case role if role in _INSTRUCTS:
                yield _request({"part_kind": "system-prompt", "content": text_of(content), "timestamp": at}, at)
            case _:
                yield _request({"part_kind": "user-prompt", "content": _prompt(content), "timestamp": at}, at)


def _of_answer(run: StoredRun) -> Iterator[Message]:
    """Yield the model's answers, each with what the tools returned that it called; the run's own answer is the last."""
    at = run.created_at.isoformat()
    exchanges = list[tuple[Message, list[Message]]]()
    for step in run.steps:
        moment = step.get("startedAt") or at
        if step.get("kind") == "model" or not exchanges:
            usage = _usage(step.get("inputTokens"), step.get("outputTokens"))
            exchanges.append((_response([], moment, run.model, usage), []))
        if step.get("kind") == "tool":
            name, call_id = step.get("name") or "", step.get("id") or ""
            response, returned = exchanges[-1]
            response["parts"].append(_called(name, call_id, step.get("args")))
            returned.append(_request(_returned(name, call_id, step.get("error"), moment), moment))
    answer = (run.content or {}).get("answer")
    if run.status == "succeeded" and isinstance(answer, str):
        if not exchanges or exchanges[-1][0]["parts"]:
            usage = _usage(*((run.input_tokens, run.output_tokens) if not exchanges else (None, None)))
            exchanges.append((_response([], run.updated_at.isoformat(), run.model, usage), []))
        exchanges[-1][0]["parts"].append({"part_kind": "text", "content": answer})
    for response, returned in exchanges:
        if response["parts"]:  # else the call failed, and another model was asked
            yield from (response, *returned)


def _joined(messages: Iterable[Message]) -> list[Message]:
    """Return the messages with neighbouring requests as one, as pydantic-ai has them."""
    joined = list[Message]()
    for message in messages:
        if joined and message["kind"] == joined[-1]["kind"] == "request":
            joined[-1]["parts"] += message["parts"]
        else:
            joined.append(message)
    return joined


def _request(part: Message, at: str) -> Message:
    return {"kind": "request", "parts": [part], "timestamp": at}


def _response(parts: list[Message], at: str, model: str | None = None, usage: dict[str, int] | None = None) -> Message:
    return {
        "kind": "response",
        "parts": parts,
        "usage": usage or _usage(None, None),
        "model_name": model,
        "timestamp": at,
    }


def _usage(prompt: int | None, completion: int | None) -> dict[str, int]:
    return {"input_tokens": prompt or 0, "output_tokens": completion or 0}


def _returned(name: str, call_id: str, content: str | None, at: str) -> Message:
    return {"part_kind": "tool-return", "tool_name": name, "tool_call_id": call_id, "content": content, "timestamp": at}


def _call(call: Message, names: dict[str, str]) -> Message:
    """Return a call of a tool in OpenAI's form, whose name its result will have too."""
    function = call.get("function")
    called: Message = function if isinstance(function, dict) else {}
    name, call_id = str(called.get("name") or ""), str(call.get("id") or "")
    names[call_id] = name
    return _called(name, call_id, called.get("arguments"))


def _called(name: str, call_id: str, args: Any) -> Message:
    return {"part_kind": "tool-call", "tool_name": name, "args": args, "tool_call_id": call_id}


def _prompt(content: Any) -> str | list[Any]:
    """Return a user's content: a text, or texts and images."""
    if not isinstance(content, list):
        return text_of(content)
    return [_content_part(part) for part in content if isinstance(part, dict)]


def _content_part(part: Message) -> Any:
    if isinstance(part.get("text"), str):
        return part["text"]
    image = part.get("image_url")
    if isinstance(image, dict) and isinstance(image.get("url"), str):
        return {"kind": "image-url", "url": image["url"]}
    return json.dumps(part)
