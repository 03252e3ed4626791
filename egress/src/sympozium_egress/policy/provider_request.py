"""Smallest requests to a provider in its dialect, and what an answer shows. Pure.

The agent's dialects translate whole conversations; here one word is enough.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import quote, urlsplit

from sympozium_api.agent_protocol import leaf_url
from sympozium_api.model_refusal import parse_refusal
from sympozium_api.provider import ProviderType
from sympozium_api.tool_check import Flaw
from sympozium_egress.policy.tool_result import HttpAnswer

_ANTHROPIC_VERSION = "2023-06-01"
_AZURE_VERSION = "2024-10-21"
_NEW_LIMIT_HOSTS = (".openai.com", ".azure.com")
"""Ends of the hosts whose reasoning models refuse ``max_tokens``."""
_NO_CHAT = re.compile(
    r"embed|whisper|tts|dall-e|moderation|image|audio|transcribe|rerank|realtime|davinci|babbage|sora|imagen|veo"
)
"""Parts of the names of models that complete no chat."""


@dataclass(frozen=True)
class ProviderCall:
    """A request to a provider."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True)
class Target:
    """A provider as it is called."""

    type: ProviderType
    base_url: str
    api_version: str | None
    key: str | None
    headers: Mapping[str, str]


def completion_call(target: Target, model: str) -> ProviderCall:
    """Return the request for a completion of one token."""
    message = {"role": "user", "content": "Hi"}
    body: dict[str, Any]
    match target.type:
        case "anthropic_native":
            url, body = leaf_url(target.base_url, "messages"), {"model": model, "max_tokens": 1, "messages": [message]}
        case "gemini_native":
            url = leaf_url(target.base_url, f"models/{quote(model.removeprefix('models/'), safe='')}:generateContent")
            contents = [{"role": "user", "parts": [{"text": "Hi"}]}]
            body = {"contents": contents, "generationConfig": {"maxOutputTokens": 1}}
        case "azure_openai":
            url = _azure(target, "chat/completions", model)
            body = {"model": model, "messages": [message], "max_completion_tokens": 1}
        case _:
            url, body = leaf_url(target.base_url, "chat/completions"), {"model": model, "messages": [message]}
            body[_limit(target.base_url)] = 1
    headers = _headers(target) | {"content-type": "application/json"}
    return ProviderCall("POST", url, headers, json.dumps(body).encode())


def models_call(target: Target) -> ProviderCall:
    """Return the request for the provider's list of models."""
    match target.type:
        case "anthropic_native":
            url = f"{leaf_url(target.base_url, 'models')}{'&' if '?' in target.base_url else '?'}limit=1000"
        case "gemini_native":
            url = f"{leaf_url(target.base_url, 'models')}{'&' if '?' in target.base_url else '?'}pageSize=1000"
        case "azure_openai":
            url = _azure(target, "models")
        case _:
            url = leaf_url(target.base_url, "models")
    return ProviderCall("GET", url, _headers(target))


def completion_failure(kind: ProviderType, answer: HttpAnswer) -> Flaw | None:
    """Return the flaw of an answer that is no completion; None if it is one."""
    if failed := _refusal(answer):
        return failed
    body = _json(answer)
    match kind:
        case "anthropic_native":
            is_completion = body.get("type") == "message" and isinstance(body.get("content"), list)
        case "gemini_native":
            is_completion = _is_list_of_objects(body.get("candidates"))
        case _:
            choices = body.get("choices")
            is_completion = _is_list_of_objects(choices) and isinstance(choices[0].get("message"), dict)
    return None if is_completion else _no_completion(answer, "a completion")


def models_of(kind: ProviderType, answer: HttpAnswer) -> list[str] | Flaw:
    """Return the names of the models in an answer, or the flaw of an answer that is no list of them."""
    if failed := _refusal(answer):
        return failed
    body = _json(answer)
    listed = body.get("models" if kind == "gemini_native" else "data")
    if not isinstance(listed, list):
        return _no_completion(answer, "a list of models")
    items = [item for item in listed if isinstance(item, dict)]
    if kind == "gemini_native":
        items = [
            item
            for item in items
            if "generateContent" in (item.get("supportedGenerationMethods") or ["generateContent"])
        ]
        names = [str(item.get("name", "")).removeprefix("models/") for item in items]
    else:
        names = [str(item.get("id", "")) for item in items]
    return [name for name in names if name]


def chat_model(names: list[str]) -> str | None:
    """Return the first model that seems to complete chats; None: there is none."""
    return next((name for name in names if not _NO_CHAT.search(name.lower())), None)


def _refusal(answer: HttpAnswer) -> Flaw | None:
    if answer.status == 200:
        return None
    words = parse_refusal(answer.body).message or ""
    return Flaw("ModelRefused", f"it answered {answer.status}" + (f": {words}" if words else ""))


def _no_completion(answer: HttpAnswer, wanted: str) -> Flaw:
    words = parse_refusal(answer.body).message if answer.content_type.endswith("json") else None
    text = f"it answered 200 with {answer.content_type or 'no type'}, which is not {wanted}"
    return Flaw("NoCompletion", text + (f": {words}" if words else ""))


def _json(answer: HttpAnswer) -> dict[str, Any]:
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _is_list_of_objects(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _headers(target: Target) -> dict[str, str]:
    """Return the headers of a call: those of the Provider win, as in the agent."""
    own = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "sympozium-egress"}
    match target.type:
        case "anthropic_native":
            own |= {"anthropic-version": _ANTHROPIC_VERSION} | ({"x-api-key": target.key} if target.key else {})
        case "gemini_native":
            own |= {"x-goog-api-key": target.key} if target.key else {}
        case "azure_openai":
            own |= {"api-key": target.key} if target.key else {}
        case _:
            own |= {"authorization": f"Bearer {target.key}"} if target.key else {}
    return own | {name.lower(): value for name, value in target.headers.items()}


def _azure(target: Target, leaf: str, model: str | None = None) -> str:
    """Return a URL of a resource, of its newer API without deployments, or of the deployment that the address names."""
    path = urlsplit(target.base_url).path.rstrip("/")
    version = target.api_version or ("" if path.endswith("/openai/v1") else _AZURE_VERSION)
    base = target.base_url
    if not path.endswith("/openai/v1") and "/deployments/" not in path:
        base = leaf_url(base, "" if path.endswith("/openai") else "openai").rstrip("/")
        leaf = f"deployments/{quote(model, safe='')}/{leaf}" if model else leaf
    url = leaf_url(base, leaf)
    if not version or "api-version=" in urlsplit(url).query:
        return url
    return f"{url}{'&' if '?' in url else '?'}api-version={quote(version, safe='')}"


def _limit(base_url: str) -> str:
    host = urlsplit(base_url).hostname or ""
    return "max_completion_tokens" if f".{host}".endswith(_NEW_LIMIT_HOSTS) else "max_tokens"
