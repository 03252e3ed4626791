"""NetworkPolicies of agents and web-proxies: made if the installation wants them, removed if it does not."""

import asyncio
from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.client import ApiError, Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import NETWORK_POLICIES, SERVICES, Object
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import converge, remove
from sympozium_operator.desired import network_policy


@dataclass(frozen=True)
class NetworkPolicies:
    """NetworkPolicies, for the reconcilers of instances and of server runs."""

    client: Client
    egress: network_policy.Egress | None
    """Addresses that agents may reach; None: the installation wants no policies."""

    async def of_agents(self, instance: SympoziumInstance) -> None:
        """Converge the policies of an instance's agents."""
        if self.egress is None:
            for name in names.agent_policies(instance.metadata.name):
                await remove(self.client, NETWORK_POLICIES, instance, name)
            return
        services = await self._services(instance)
        await converge(self.client, network_policy.agent_policies(instance, self.egress, services))

    async def of_server(self, run: AgentRun, deployment: Object) -> None:
        """Converge the policy of a web-proxy, made from its desired Deployment."""
        if self.egress is None:
            await remove(self.client, NETWORK_POLICIES, run, names.server(run.metadata.name))
            return
        await converge(self.client, [network_policy.server_policy(run, deployment)])

    async def _services(self, instance: SympoziumInstance) -> network_policy.Services:
        """Return the Services behind the instance's addresses."""
        places = {
            a: place for a in network_policy.addresses(instance) if (place := a.service(instance.metadata.namespace))
        }
        found = await asyncio.gather(*(self._service(*place) for place in places.values()))
        return {address: service for address, (there, service) in zip(places, found, strict=True) if there}

    async def _service(self, namespace: str, name: str) -> tuple[bool, Object | None]:
        """Return whether such a Service exists, or may exist; and the Service, if the operator may read it."""
        try:
            service = await self.client.find(SERVICES, namespace, name)
        except ApiError as error:
            if error.status != 403:
                raise
            return True, None
        return service is not None, service
