"""Selectors of the objects that the operator watches."""

from sympozium_api import names
from sympozium_operator.desired.rbac import AGENT_COMPONENT

OURS = f"app.kubernetes.io/managed-by={names.FIELD_MANAGER}"
"""Selector of what the operator applied. An object that loses the label leaves the watch, which is an event too."""
OF_AGENTS = f"{OURS},app.kubernetes.io/component={AGENT_COMPONENT},{names.LABEL_INSTANCE}"
"""Selector of the Jobs of runs and of warm pools."""
