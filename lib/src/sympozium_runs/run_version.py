"""The published version of an agent as a run keeps it, whatever becomes of the agent's instance. Pure."""

from dataclasses import dataclass
from typing import Any

from sympozium_api import names
from sympozium_api.instance import SympoziumInstance
from sympozium_api.model_params import ModelParams
from sympozium_api.run import RunModel


@dataclass(frozen=True)
class RunVersion:
    """A version that a run is of: title, prompt, model and parameters come from the version alone."""

    number: int
    title: str
    """Name of the agent for people."""
    prompt: str
    """System prompt; empty: there is none, whatever the instance has."""
    provider_ref: str | None
    """Provider of the model; None: the model is at the instance's own address."""
    model: str
    params: ModelParams

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the run."""
        return {names.LABEL_VERSION: str(self.number)}

    @property
    def annotations(self) -> dict[str, str]:
        """Annotations of the run."""
        return {names.ANNOTATION_AGENT_TITLE: self.title}

    @property
    def spec(self) -> dict[str, Any]:
        """Fields of the run's spec."""
        model = RunModel(provider_ref=self.provider_ref, model=self.model)
        return {
            "systemPrompt": self.prompt,
            "model": model.model_dump(by_alias=True, exclude_none=True),
            "params": self.params.model_dump(exclude_none=True),
        }

    def is_elsewhere(self, instance: SympoziumInstance) -> bool:
        """Return whether the version's model is of another Provider than the instance's is by now."""
        return self.provider_ref != instance.spec.agents.default.provider_ref
