"""The AgentRun in mode server behind an instance's web endpoint."""

from typing import Any

from sympozium_api import names
from sympozium_api.base import owner_reference
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import RUNS
from sympozium_operator.desired import access, parts


def server_run(instance: SympoziumInstance) -> dict[str, Any]:
    """The run; the operator makes its Deployment from the SkillPack that it names."""
    name = names.web_endpoint_run(instance.metadata.name)
    labels = names.labels(access.SERVER_COMPONENT, instance=instance.metadata.name)
    head = parts.head(RUNS, name, instance.metadata.namespace, labels=labels, owner=owner_reference(instance))
    return head | {
        "spec": {
            "agentRef": instance.metadata.name,
            "mode": "server",
            "skills": [{"skillPackRef": names.WEB_ENDPOINT_SKILL}],
        }
    }
