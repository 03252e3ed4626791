"""NetworkPolicies of agents and web-proxies: made if the installation wants them, removed if it does not."""

import asyncio
from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.client import ApiError, Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import NETWORK_POLICIES, SERVICES, Object
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import Converger, remove
from sympozium_operator.desired import network_policy
from sympozium_operator.policy.provider_resolution import PLAIN, InstanceModels
from sympozium_operator.reconcile.version_poll import VersionPoll
from sympozium_operator.result import Key


@dataclass(frozen=True)
class NetworkPolicies:
    """NetworkPolicies, for the reconcilers of instances and of server runs."""

    client: Client
    converge: Converger
    egress: network_policy.Egress | None
    """Addresses that agents may reach; None: the installation wants no policies."""
    poll: VersionPoll
    """Poll of the Services behind those addresses."""

    async def converge_agents(self, instance: SympoziumInstance, models: InstanceModels = PLAIN) -> None:
        """Converge the policies of an instance's agents."""
        if self.egress is None:
            for name in names.agent_policies(instance.metadata.name):
                await remove(self.client, NETWORK_POLICIES, instance, name)
            return
        services = await self._services(instance, models)
        await self.converge(network_policy.agent_policies(instance, self.egress, services, models.models))

    async def converge_server(self, run: AgentRun, deployment: Object) -> None:
        """Converge the policy of a web-proxy, made from its desired Deployment."""
        if self.egress is None:
            await remove(self.client, NETWORK_POLICIES, run, names.server(run.metadata.name))
            return
        await self.converge([network_policy.server_policy(run, deployment)])

    async def _services(self, instance: SympoziumInstance, models: InstanceModels) -> network_policy.Services:
        """Return the Services behind the instance's addresses."""
        names_of_services = {
            a: name
            for a in network_policy.addresses(instance, models.models)
            if (name := a.service(instance.metadata.namespace))
        }
        key = Key("instance", *instance.key)
        services = await asyncio.gather(*(self._service(key, *name) for name in names_of_services.values()))
        return {
            address: service for address, (exists, service) in zip(names_of_services, services, strict=True) if exists
        }

    async def _service(self, key: Key, namespace: str, name: str) -> tuple[bool, Object | None]:
        """Return whether such a Service exists, or may exist; and the Service, if the operator may read it."""
        try:
            service = await self.client.find(SERVICES, namespace, name)
        except ApiError as error:
            if error.status != 403:
                raise
            return True, None
        self.poll.remember_in(key, SERVICES, namespace, name, service)
        return service is not None, service
