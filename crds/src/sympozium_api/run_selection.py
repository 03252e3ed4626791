"""Selectors of runs, as the API server takes them. Pure."""

from typing import get_args

from sympozium_api.run_status import TERMINAL_PHASES, Phase

NOT_ENDED = ",".join(f"status.phase!={phase}" for phase in TERMINAL_PHASES)
"""Field selector of the runs that have not ended. A watch reports a run that ends as deleted."""
ENDED = ",".join(f"status.phase!={phase}" for phase in ("", *get_args(Phase)) if phase not in TERMINAL_PHASES)
"""Field selector of the runs that have ended."""


def run_fields(instance: str | None = None, phase: Phase | None = None) -> dict[str, str]:
    """Return the selectors of an instance's runs in a phase. Pending includes runs that the operator has not reconciled yet."""
    fields = [f"spec.agentRef={instance}"] if instance else []
    if phase == "Pending":
        fields += [f"status.phase!={other}" for other in get_args(Phase) if other != phase]
    elif phase:
        fields.append(f"status.phase={phase}")
    return {"fieldSelector": ",".join(fields)} if fields else {}
