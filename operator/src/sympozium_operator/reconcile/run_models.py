"""Models of runs of which a Provider has any."""

from dataclasses import dataclass, replace

from sympozium_api import model_targets
from sympozium_api.instance import SympoziumInstance
from sympozium_api.model_targets import ModelsUnresolved, RunModels
from sympozium_operator.policy import provider_resolution
from sympozium_operator.policy.provider_resolution import NOT_FOUND
from sympozium_operator.policy.run_input import RunInput
from sympozium_operator.reconcile.caller_secrets import CallerSecrets
from sympozium_operator.reconcile.provider_directory import ProviderDirectory


@dataclass(frozen=True)
class RunModelGatherer:
    """Models of runs, for their reconciler."""

    callers: CallerSecrets
    providers: ProviderDirectory

    async def gather(self, facts: RunInput, instance: SympoziumInstance) -> RunInput:
        """Add the models of a run of which a Provider has any."""
        run, named = facts.run, model_targets.names_a_provider(facts.run, instance)
        if named is None and not model_targets.is_resolved_by_operator(instance):
            return facts
        callers = await self.callers.of_others(instance)
        models = await self.providers.of_instance(instance, callers)
        if named is not None:
            found = await self.providers.get(run.metadata.namespace, named)
            own = run.spec.model
            is_certain = bool(own and own.provider_ref) or instance.spec.agents.default.provider_ref is not None
            if found is not NOT_FOUND or is_certain:
                name = (own and own.model) or instance.spec.agents.default.model
                target = provider_resolution.of_run(run, name, found, callers, instance)
                if isinstance(target, str):
                    return replace(facts, model_failure=target)
                is_elsewhere = model_targets.is_elsewhere(target, instance, models.document)
                return replace(facts, models=RunModels((target,), is_elsewhere))
        try:
            return replace(facts, models=RunModels.of(run, instance, models.document))
        except ModelsUnresolved as failure:
            return replace(facts, model_failure=models.failure or str(failure))
