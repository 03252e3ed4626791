"""Secrets with the keys that sign MCP sessions: generated once, repaired, and never read back."""

import secrets

from sympozium_api import names
from sympozium_api.client import Client
from sympozium_api.resources import SECRETS
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import converge
from sympozium_operator.desired import rbac
from sympozium_operator.desired.drift import has_drifted, with_applied_digest


async def keep_session_key(client: Client, run: AgentRun) -> None:
    """Generate the session key of a server run if it is missing, and restore its Secret's owner and labels.

    The Secret is immutable, so its metadata shows all that can be wrong with it.
    """
    namespace, name = run.metadata.namespace, names.session_key_secret(run.metadata.name)
    live, head = await client.find_metadata(SECRETS, namespace, name), rbac.session_key_head(run)
    if live is None:
        await client.create(SECRETS, namespace, rbac.session_key(run, lambda: secrets.token_hex(32)))
    elif has_drifted(live["metadata"], with_applied_digest(head)["metadata"]):
        await converge(client, [head])
