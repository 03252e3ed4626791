"""AgentRunPart: a piece of a text that is longer than an AgentRun holds."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sympozium_api import names
from sympozium_api.base import ApiModel, Name, Resource, owner_reference, rule, rules
from sympozium_api.json_text import MAX_PARTS, MAX_PLAIN_BYTES
from sympozium_api.run import AgentRun


class AgentRunPartSpec(ApiModel):
    """Piece of a run's text. Immutable."""

    model_config = {
        "json_schema_extra": rules(rule("self == oldSelf", "an AgentRunPart is immutable")),
    }

    run: Name
    """AgentRun in the same namespace that the text belongs to. It owns the part, which is deleted with it."""
    text: Literal["request", "response", "answer"]
    """Field of the run that names the text: ``spec.requestText``, ``spec.responseText`` or ``status.answer``."""
    index: Annotated[int, Field(ge=0, le=MAX_PARTS - 1)]
    """Position of the piece in the text, from 0."""
    data: Annotated[str, Field(max_length=MAX_PLAIN_BYTES)]
    """The piece: some of the text's characters."""


class AgentRunPart(Resource):
    """Piece of a request, response or answer that does not fit into its AgentRun. Written by web-proxies and the runs server."""

    model_config = {
        "json_schema_extra": rules(rule("!has(oldSelf.spec) || has(self.spec)", "an AgentRunPart is immutable")),
    }

    spec: AgentRunPartSpec


def manifest(run: AgentRun, text: str, sha256: str, index: int, data: str) -> dict[str, Any]:
    """Return a part of a text of a run, which owns it. ``sha256`` is the digest of the whole text."""
    instance = run.spec.agent_ref
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRunPart",
        "metadata": {
            "name": names.run_part(instance, run.metadata.uid, sha256, index),
            "labels": names.labels("run", instance=instance, run=run.metadata.name),
            "ownerReferences": [owner_reference(run)],
        },
        "spec": {"run": run.metadata.name, "text": text, "index": index, "data": data},
    }
