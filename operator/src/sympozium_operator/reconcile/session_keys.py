"""Secrets with the keys that sign MCP sessions: generated once, never read back, and never adopted."""

import secrets
from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.client import Client
from sympozium_api.resources import SECRETS, Object
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import Converger
from sympozium_operator.desired import rbac
from sympozium_operator.desired.drift import has_drifted, with_applied_digest
from sympozium_operator.policy.conditions import ConditionUpdate
from sympozium_operator.policy.pod_status import controller_uid
from sympozium_operator.reconcile.version_poll import VersionPoll
from sympozium_operator.result import Key


@dataclass(frozen=True)
class SessionKeys:
    """Secrets of all server runs."""

    client: Client
    converge: Converger
    poll: VersionPoll

    async def keep(self, run: AgentRun) -> str | ConditionUpdate:
        """Generate the session key of a server run if it is missing, and restore its Secret's labels. Return the Secret's UID.

        Return the reason why the server may not mount the Secret, if the server run does not own it: anybody may have chosen its
        value. The Secret of a former server run of this name is one too, until Kubernetes has deleted it.
        """
        name = names.session_key_secret(run.metadata.name)
        live = await self._kept(run, name)
        self.poll.remember(Key("run", *run.key), SECRETS, name, live)
        if controller_uid(live) != run.metadata.uid:
            text = f"the Secret {name} was not generated for this web endpoint; delete it"
            return ConditionUpdate("Accepted", ok=False, reason="SessionKeyNotOwned", message=text)
        uid: str = live["metadata"]["uid"]
        return uid

    async def _kept(self, run: AgentRun, name: str) -> Object:
        namespace, head = run.metadata.namespace, rbac.session_key_head(run)
        live = await self.client.find_metadata(SECRETS, namespace, name)
        if live is None:
            desired = rbac.session_key(run, lambda: secrets.token_hex(32))
            return await self.client.create(SECRETS, namespace, desired, metadata_only=True)
        if controller_uid(live) == run.metadata.uid and has_drifted(
            live["metadata"], with_applied_digest(head)["metadata"]
        ):
            [live] = await self.converge([head])
        return live
