"""Objects that belong to an instance: its agents' ServiceAccount, its server run, the ConfigMap with its skills and tools."""

from sympozium_api import agent_document, installed_skills, names
from sympozium_api.agent_document import AgentDocument
from sympozium_api.base import owner_reference
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import CONFIG_MAPS, RUNS, SERVICE_ACCOUNTS, Object, ResourceType
from sympozium_operator.desired import pod_parts, rbac

_SKILLS_COMPONENT = "skills"


def agent_service_account(instance: SympoziumInstance) -> Object:
    """Return the ServiceAccount of an instance's agent pods: without rights, and without a token unless a pod asks for one."""
    name = names.agent_service_account(instance.metadata.name)
    return _head(instance, SERVICE_ACCOUNTS, name, rbac.AGENT_COMPONENT) | {"automountServiceAccountToken": False}


def server_run(instance: SympoziumInstance) -> Object:
    """Return the AgentRun in mode server. The operator makes its Deployment from the SkillPack that the run names."""
    spec = {
        "agentRef": instance.metadata.name,
        "mode": "server",
        "skills": [{"skillPackRef": names.WEB_ENDPOINT_SKILL}],
    }
    run = _head(instance, RUNS, names.web_endpoint_run(instance.metadata.name), rbac.SERVER_COMPONENT)
    return run | {"spec": spec}


def gathered_config_map(
    instance: SympoziumInstance, installed: list[InstalledSkill] | None, document: AgentDocument | None
) -> Object:
    """Return the ConfigMap with a copy of all skills, so that no reference crosses a namespace (rule 12), and with the agent's tools.

    None: the instance names no skills, or has no tools.
    """
    name = names.installed_skills(instance.metadata.name)
    data = {} if installed is None else {installed_skills.DOCUMENT: installed_skills.render(installed)}
    data |= {} if document is None else {agent_document.DOCUMENT: agent_document.render(document)}
    return _head(instance, CONFIG_MAPS, name, _SKILLS_COMPONENT) | {"data": data}


def _head(instance: SympoziumInstance, kind: ResourceType, name: str, component: str) -> Object:
    labels = names.labels(component, instance=instance.metadata.name)
    return pod_parts.head(kind, name, instance.metadata.namespace, labels=labels, owner=owner_reference(instance))
