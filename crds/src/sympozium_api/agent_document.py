"""The document ``agent.json``: what an instance's agents may call and how much, gathered by the operator for all who make tasks."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from sympozium_api.base import ApiModel
from sympozium_api.effective_policy import EffectivePolicy
from sympozium_api.resolved_model import ResolvedModel

DOCUMENT = "agent.json"
"""Data key of the ConfigMap ``names.installed_skills`` that holds the document."""
MAX_DOCUMENT_BYTES = 512 * 1024
"""Longest document. The ConfigMap holds 1 MiB, together with the skills."""
_NO_TOOLS = "none"
"""In a digest, in the place of the tools'."""


class OfferedTool(ApiModel):
    """One tool of an agent, as the model is told it."""

    function: str
    """Name under which the model calls the tool."""
    title: str | None = None
    """Name of the tool for people, which the model is not told. Absent: the same."""
    description: str = ""
    """Purpose of the tool."""
    parameters: str
    """JSON text of the arguments' schema."""
    base_url: str
    """Base URL of the process that carries out the calls: ``POST {baseUrl}/runs/{run}/tools/{function}``."""
    timeout_ms: int
    """Milliseconds that the process may take for a call."""


class AgentLimits(ApiModel):
    """Limits of one run. None: no limit."""

    iterations: int | None = None
    """Most calls of the model."""
    tool_calls: int | None = None
    """Most calls of tools."""
    input_tokens: int | None = None
    """Most tokens that all calls of the model together may read."""
    output_tokens: int | None = None
    """Most tokens that all calls of the model together may write."""


class AgentDocument(ApiModel):
    """Tools, limits, models and policies that the operator gathered for an instance's agents."""

    tools: list[OfferedTool] = []
    """Tools, in the order of their functions."""
    limits: AgentLimits = AgentLimits()
    """Limits of a run."""
    models: Annotated[list[ResolvedModel], Field(min_length=1)] | None = None
    """The instance's model, then its fallbacks in order. Absent: the instance names no Provider and no fallback."""
    policy: EffectivePolicy | None = None
    """All policies that bind the instance. Absent: none does."""


def render(document: AgentDocument) -> str:
    """Return the document as JSON text."""
    return document.model_dump_json(by_alias=True, exclude_none=True, exclude_defaults=False)


def digest(document: AgentDocument) -> str:
    """Return the digest that an instance's status shows of its document: of its tools and, if it has more, of all of it."""
    tools, whole = _hash(document.model_copy(update={"models": None, "policy": None})), _hash(document)
    return whole if tools == whole else f"{tools if document.tools else _NO_TOOLS}-{whole}"


def tools_digest(digest: str | None) -> str | None:
    """Return the part of a document's digest that stands for the tools; None: the document has none, or there is no document."""
    tools = (digest or _NO_TOOLS).partition("-")[0]
    return None if tools == _NO_TOOLS else tools


def _hash(document: AgentDocument) -> str:
    return hashlib.sha256(render(document).encode()).hexdigest()[:16]


def of_config_map(body: Mapping[str, Any] | None) -> AgentDocument | None:
    """Return the document in the operator's ConfigMap; None: there is none, or it is not as the operator wrote it."""
    text = ((body or {}).get("data") or {}).get(DOCUMENT)
    try:
        return None if text is None else AgentDocument.model_validate_json(text)
    except ValidationError:
        return None  # edited by hand; the operator is about to restore it
