"""Secrets with the keys that sign MCP sessions: generated once, never read back, and never adopted."""

import secrets

from sympozium_api import names
from sympozium_api.client import Client
from sympozium_api.resources import SECRETS
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import converge
from sympozium_operator.desired import rbac
from sympozium_operator.desired.drift import has_drifted, with_applied_digest
from sympozium_operator.policy.conditions import ConditionUpdate
from sympozium_operator.policy.pod_status import controller_uid


async def keep_session_key(client: Client, run: AgentRun) -> ConditionUpdate | None:
    """Generate the session key of a server run if it is missing, and restore its Secret's labels.

    Return the reason why the server may not mount the Secret, if the server run does not own it: anybody may have chosen its value.
    The Secret of a former server run of this name is one too, until Kubernetes has deleted it.
    """
    namespace, name = run.metadata.namespace, names.session_key_secret(run.metadata.name)
    live, head = await client.find_metadata(SECRETS, namespace, name), rbac.session_key_head(run)
    if live is None:
        await client.create(SECRETS, namespace, rbac.session_key(run, lambda: secrets.token_hex(32)))
    elif controller_uid(live) != run.metadata.uid:
        text = f"the Secret {name} was not generated for this web endpoint; delete it"
        return ConditionUpdate("Accepted", ok=False, reason="SessionKeyNotOwned", message=text)
    elif has_drifted(live["metadata"], with_applied_digest(head)["metadata"]):
        await converge(client, [head])
    return None
