"""AgentRuns in mode server: the web-proxy of an instance and all that belongs to it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from sympozium_api import effective, names
from sympozium_api.client import Client
from sympozium_api.client.resources import DEPLOYMENTS, INSTANCES, PODS, RUNS, SECRETS
from sympozium_api.clock import Clock
from sympozium_api.effective import InvalidSpec
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import converge
from sympozium_operator.cluster.packs import web_endpoint_pack
from sympozium_operator.desired import access
from sympozium_operator.desired import server as desired_server
from sympozium_operator.outcome import DONE, Outcome
from sympozium_operator.policy import server as policy
from sympozium_operator.policy.conditions import Finding, merge_patch
from sympozium_operator.reconcile.keys import GeneratedKeys

Object = dict[str, Any]


@dataclass(frozen=True)
class Servers:
    """Reconciles runs in mode server."""

    client: Client
    clock: Clock
    namespace: str
    """The operator's own, where built-in SkillPacks are."""
    pull_policy: str
    keys: GeneratedKeys

    async def reconcile(self, run: AgentRun) -> Outcome:
        """One look at a server run that was just read."""
        if run.ended or run.metadata.deletion_timestamp:
            return DONE
        decision = policy.decide(await self._gather(run))
        if decision is None:
            return DONE
        if isinstance(decision, Finding):
            deployment = await self.client.find(DEPLOYMENTS, run.metadata.namespace, names.server(run.metadata.name))
            return await self._report(run, decision, deployment)
        deployment = await self._make(run, decision)
        return await self._report(run, Finding("Accepted", ok=True, reason="Accepted"), deployment)

    async def _gather(self, run: AgentRun) -> policy.Input:
        raw = await self.client.find(INSTANCES, run.metadata.namespace, run.spec.agent_ref)
        if raw is None:
            return policy.Input(run, None)
        instance = SympoziumInstance.model_validate(raw)
        pack, own_keys = await asyncio.gather(
            web_endpoint_pack(self.client, run.metadata.namespace, self.namespace), self._own_keys(instance)
        )
        return policy.Input(run, instance, pack, own_keys)

    async def _own_keys(self, instance: SympoziumInstance) -> Object | None:
        try:
            endpoint = effective.web_endpoint(instance)
        except InvalidSpec:
            return None  # the decision says so
        if endpoint is None or endpoint.auth_secret_ref is None:
            return None
        return await self.client.find(SECRETS, instance.metadata.namespace, endpoint.auth_secret_ref)

    async def _make(self, run: AgentRun, plan: policy.Plan) -> Object:
        """All children as desired; the live Deployment."""
        if plan.generate_key:
            await self.keys.ensure(run)
        else:
            self.keys.leave(run)
        account, *_ = await converge(self.client, access.server_access(run))
        children = desired_server.build(
            run,
            plan.instance,
            plan.sidecar,
            replicas=plan.replicas,
            keys_secret=plan.keys_secret,
            pull_policy=self.pull_policy,
            account=account["metadata"]["uid"],
        )
        live = await converge(self.client, children)
        return next(body for body in live if body["kind"] == DEPLOYMENTS.kind)

    async def _report(self, run: AgentRun, accepted: Finding, deployment: Object | None) -> Outcome:
        settled = deployment is not None and policy.settled(deployment)
        pods = [] if settled else await self._pods(run)
        status = policy.status(run, accepted, deployment, pods, self.clock.now())
        before = run.status.model_dump(by_alias=True, exclude_none=True)
        if patch := merge_patch(before, before | status):
            await self.client.patch(RUNS, *run.key, {"status": patch}, subresource="status")
        return DONE if settled and accepted.ok else Outcome(after=policy.POLL)

    async def _pods(self, run: AgentRun) -> list[Object]:
        selector = ",".join(f"{key}={value}" for key, value in desired_server.selector(run).items())
        return await self.client.list(PODS, run.metadata.namespace, labelSelector=selector)
