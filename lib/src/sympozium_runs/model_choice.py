"""The model that answers a request: the instance's own, or another that the instance allows."""

from sympozium_api.instance import SympoziumInstance
from sympozium_http.refusal import Refusal

DEFAULT_MODEL = "default"
"""Alias of each instance's own model."""


def model_names(instance: SympoziumInstance) -> list[str]:
    """Return the names that requests may use: the instance's own model, its two aliases, then the models that it allows besides."""
    agent = instance.spec.agents.default
    own = (agent.model, instance.metadata.name, DEFAULT_MODEL)
    return list(dict.fromkeys((*own, *agent.allowed_models, *agent.embedding_models)))


def chosen_model(instance: SympoziumInstance, name: str | None) -> str:
    """Return the model that a request names; None stands for the instance's own. Raises Refusal 404."""
    agent = instance.spec.agents.default
    if name in (None, agent.model, instance.metadata.name, DEFAULT_MODEL):
        return agent.model
    if name in agent.allowed_models:
        return name
    message = (
        f"The model '{name}' does not exist here. Use '{agent.model}' or '{DEFAULT_MODEL}'; GET /v1/models lists all."
    )
    raise Refusal(404, "model_not_found", message, param="model")


def refuse_unready(instance: SympoziumInstance) -> None:
    """Raise Refusal 503 if the instance's model cannot answer, as the operator reports."""
    for condition in instance.status.conditions:
        if condition.type == "ModelReady" and condition.status == "False":
            # Its message may name a Secret, which is no business of callers.
            message = (
                f"The instance's model is not ready: {condition.reason}; its condition ModelReady has the details."
            )
            raise Refusal(503, "model_not_ready", message, retry_after=10)


def chosen_embedding_model(instance: SympoziumInstance, name: str | None) -> str:
    """Return the embedding model that a request names; None and ``default`` stand for the first. Raises Refusal 404."""
    models = instance.spec.agents.default.embedding_models
    if not models:
        raise Refusal(404, "unknown_url", "This endpoint offers no embeddings.")
    if name in (None, DEFAULT_MODEL):
        return models[0]
    if name in models:
        return name
    message = f"The embedding model '{name}' does not exist here. Use one of: {', '.join(models)}."
    raise Refusal(404, "model_not_found", message, param="model")
