"""AgentRuns in mode server: the web-proxy of an instance and all that belongs to it."""

import asyncio
from dataclasses import dataclass, field

from sympozium_api import names
from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import DEPLOYMENTS, INSTANCES, PODS, RUNS, Object
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import converge, remove
from sympozium_operator.cluster.events import Events
from sympozium_operator.cluster.keys import own_keys
from sympozium_operator.cluster.packs import web_endpoint_pack
from sympozium_operator.desired import access, scaling
from sympozium_operator.desired import server as desired_server
from sympozium_operator.outcome import DONE, Outcome
from sympozium_operator.policy import news
from sympozium_operator.policy import server as policy
from sympozium_operator.policy.conditions import Finding, merge_patch
from sympozium_operator.reconcile.keys import ApiKeys
from sympozium_operator.reconcile.network import NetworkPolicies


@dataclass(frozen=True)
class Servers:
    """Reconciles runs in mode server."""

    client: Client
    clock: Clock
    events: Events
    namespace: str
    """The operator's own, where built-in SkillPacks are."""
    pull_policy: str
    keys: ApiKeys
    policies: NetworkPolicies
    template: Object = field(default_factory=dict)
    """What the installation says about the pods of web-proxies."""
    tracing: desired_server.Tracing | None = None

    async def reconcile(self, run: AgentRun) -> Outcome:
        """One look at a server run that was just read."""
        if run.ended or run.metadata.deletion_timestamp:
            return DONE
        seen = await self._gather(run)
        decision = policy.decide(seen)
        if decision is None:
            return DONE
        if isinstance(decision, policy.Drain):
            return await self._drain(run)
        if isinstance(decision, Finding):
            deployment = await self.client.find(DEPLOYMENTS, run.metadata.namespace, names.server(run.metadata.name))
            return await self._report(run, decision, deployment)
        deployment = await self._make(run, decision, seen.own_keys)
        outcome = await self._report(run, Finding("Accepted", ok=True, reason="Accepted"), deployment)
        if policy.settled(deployment) and news.was_unsettled(run):
            await self.events.tell(decision.instance, news.settled(deployment))
        return outcome

    async def _gather(self, run: AgentRun) -> policy.Input:
        raw = await self.client.find(INSTANCES, run.metadata.namespace, run.spec.agent_ref)
        if raw is None:
            return policy.Input(run, None)
        instance = SympoziumInstance.model_validate(raw)
        pack, keys = await asyncio.gather(
            web_endpoint_pack(self.client, run.metadata.namespace, self.namespace), own_keys(self.client, instance)
        )
        return policy.Input(run, instance, pack, keys)

    async def _make(self, run: AgentRun, plan: policy.Plan, own_keys: Object | None) -> Object:
        """All children as desired; the live Deployment."""
        name = names.server(run.metadata.name)
        before = await self.client.find(DEPLOYMENTS, run.metadata.namespace, name)
        keys = own_keys or await self.keys.generated(run, plan.instance)
        version: str = keys["metadata"]["resourceVersion"]
        if before is not None and policy.has_older_keys(before, version):
            await self._hurry_keys(run, version)
        self.keys.remember(run, keys)
        account, *_ = await converge(self.client, access.server_access(run))
        children = desired_server.build(
            run,
            plan.instance,
            plan.sidecar,
            replicas=policy.replicas(plan, before),
            keys_secret=plan.keys_secret,
            keys_version=version,
            pull_policy=self.pull_policy,
            account=account["metadata"]["uid"],
            template=self.template,
            tracing=self.tracing,
        )
        scaled = scaling.build(run, replicas=plan.replicas, autoscaling=plan.autoscaling)
        live = await converge(self.client, [*children, *scaled])
        for kind in scaling.KINDS:
            if kind.kind not in [body["kind"] for body in scaled]:
                await remove(self.client, kind, run, name)
        await self.policies.of_server(run, children[0])
        return next(body for body in live if body["kind"] == DEPLOYMENTS.kind)

    async def _drain(self, run: AgentRun) -> Outcome:
        """The Deployment goes first. What its pods need to finish (rights, keys, their Service) goes with the run, when none is left."""
        await remove(self.client, DEPLOYMENTS, run, names.server(run.metadata.name))
        now = self.clock.now()
        left = policy.draining(await self._pods(run), now)
        if left:
            await self._write(run, policy.status_while_draining(run, left, now))
            return Outcome(after=policy.POLL)
        await self.client.delete(RUNS, *run.key, uid=run.metadata.uid)
        return DONE

    async def _hurry_keys(self, run: AgentRun, version: str) -> None:
        """Let pods have changed keys at once: a kubelet mounts a Secret anew every 60 to 90 s, and whenever the pod itself changes."""
        note = {"metadata": {"annotations": {names.ANNOTATION_KEYS_VERSION: version}}}
        for pod in await self._pods(run):
            try:
                await self.client.patch(PODS, run.metadata.namespace, pod["metadata"]["name"], note)
            except ApiError as error:
                if not error.not_found:
                    raise

    async def _report(self, run: AgentRun, accepted: Finding, deployment: Object | None) -> Outcome:
        settled = deployment is not None and policy.settled(deployment)
        pods = [] if settled else await self._pods(run)
        status = policy.status(run, accepted, deployment, pods, self.clock.now())
        await self._write(run, status)
        return DONE if settled and accepted.ok else Outcome(after=policy.POLL)

    async def _write(self, run: AgentRun, status: Object) -> None:
        before = run.status.model_dump(by_alias=True, exclude_none=True)
        if patch := merge_patch(before, before | status):
            await self.client.patch(RUNS, *run.key, {"status": patch}, subresource="status")

    async def _pods(self, run: AgentRun) -> list[Object]:
        selector = ",".join(f"{key}={value}" for key, value in desired_server.selector(run).items())
        return await self.client.list(PODS, run.metadata.namespace, labelSelector=selector)
