"""Judge of requests by the policies of an instance, as the operator resolved them into the instance's document."""

from sympozium_api import effective_policy, policy_check
from sympozium_api.effective_policy import Denial
from sympozium_api.instance import SympoziumInstance
from sympozium_http.refusal import Refusal
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.agent_documents import AgentDocuments
from sympozium_runs.model_choice import DEFAULT_MODEL
from sympozium_runs.run_bounds import denial_of_model


class RunPolicies:
    """Judge of requests. Its methods may raise ApiError and ApiUnavailable. An instance without a document costs no read."""

    def __init__(self, documents: AgentDocuments, metrics: AgentApiMetrics) -> None:
        self._documents = documents
        self._metrics = metrics

    async def admitted(
        self, instance: SympoziumInstance, model: str | None, *, is_elsewhere: bool = False
    ) -> SympoziumInstance:
        """Return an instance with the limits that count for it. Raises Refusal 403 if a request for the model is denied.

        ``is_elsewhere``: the model is of another Provider than the instance's, which only the operator can judge, at the start.
        """
        document = await self._documents.of(instance)
        if document is None or document.policy is None:
            return instance
        if is_elsewhere:
            self._refuse(effective_policy.flaw(document.policy))
        else:
            self._refuse(denial_of_model(instance, document, model or instance.spec.agents.default.model))
        return policy_check.bounded_instance(document.policy, instance)

    async def permitted_models(self, instance: SympoziumInstance, models: list[str]) -> list[str]:
        """Return the models among these that requests may name."""
        document = await self._documents.of(instance)
        if document is None or document.policy is None:
            return models
        own = {instance.metadata.name, DEFAULT_MODEL}
        meant = {name: instance.spec.agents.default.model if name in own else name for name in models}
        return [name for name in models if denial_of_model(instance, document, meant[name]) is None]

    def _refuse(self, denial: Denial | None) -> None:
        if denial is not None:
            self._metrics.denied.labels(denial.kind).inc()
            raise Refusal(403, "policy_denied", f"Refused: {denial}.", param="model")
