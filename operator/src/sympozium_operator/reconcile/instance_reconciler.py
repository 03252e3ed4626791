"""Reconciler of SympoziumInstances: their ServiceAccount, their skills, their server run and their status."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from sympozium_api import effective, model_targets, names, policy_binding, policy_check
from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.model_targets import ModelsUnresolved
from sympozium_api.policy_check import FieldDenial
from sympozium_api.policy_reader import PolicyReader
from sympozium_api.reading import read
from sympozium_api.resources import INSTANCES, RUNS, SECRETS, Object
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import Converger
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.cluster.references import auth_secret, web_endpoint_pack
from sympozium_operator.desired.instance_children import agent_service_account
from sympozium_operator.desired.instance_children import server_run as desired_server_run
from sympozium_operator.operator_metrics import OperatorMetrics
from sympozium_operator.policy import agent_tools, event_messages, within_policy
from sympozium_operator.policy import instance_plan as policy
from sympozium_operator.policy import route_decision as route_policy
from sympozium_operator.policy.agent_tools import digest
from sympozium_operator.policy.conditions import ConditionUpdate, find, merge_patch, name_taken, write_refused
from sympozium_operator.policy.web_endpoint_pack import NO_PACK, WebEndpointPack
from sympozium_operator.reconcile.caller_secrets import CallerSecrets, no_secrets
from sympozium_operator.reconcile.network_policies import NetworkPolicies
from sympozium_operator.reconcile.policy_reconciler import PolicyReconciler
from sympozium_operator.reconcile.pool_reconciler import PoolReconciler
from sympozium_operator.reconcile.provider_directory import ProviderDirectory
from sympozium_operator.reconcile.route_reconciler import RouteReconciler
from sympozium_operator.reconcile.skill_gatherer import SkillGatherer
from sympozium_operator.reconcile.tool_gatherer import GatheredTools, ToolGatherer
from sympozium_operator.reconcile.tool_reconciler import ALL
from sympozium_operator.reconcile.version_poll import VersionPoll
from sympozium_operator.result import Key, NameTaken, Result


@dataclass(frozen=True, kw_only=True)
class InstanceReconciler:
    """Reconciles SympoziumInstances."""

    client: Client
    converge: Converger
    clock: Clock
    events: EventRecorder
    namespace: str
    """Namespace of the operator, where built-in SkillPacks are."""
    policies: NetworkPolicies
    routes: RouteReconciler
    skills: SkillGatherer
    tools: ToolGatherer
    providers: ProviderDirectory
    pools: PoolReconciler
    callers: CallerSecrets
    poll: VersionPoll
    """Poll of the Secrets with models' keys."""
    bounds: PolicyReader
    policy_objects: PolicyReconciler
    metrics: OperatorMetrics
    agent_image: str
    next_runs: Callable[[tuple[str, str]], tuple[Key, ...]]
    """Runs of an instance whose turn has come, because its limit may have been raised."""
    forget: Callable[[tuple[str, str]], None]
    """Lets the fair queue forget an instance that does not exist any more."""

    async def reconcile(self, key: Key) -> Result:
        """Reconcile an instance."""
        self.poll.forget(key)
        self.routes.hostnames.forget(key)
        raw = await self.client.find(INSTANCES, key.namespace, key.name)
        if raw is None or raw["metadata"].get("deletionTimestamp"):
            self.callers.forget(key.namespace, key.name)
            self.providers.forget_instance(key.namespace, key.name)
            self.skills.poll.forget(key)
            self.pools.forget(key.namespace, key.name)
            self.forget((key.namespace, key.name))
            return Result(enqueue=self.policy_objects.bound(key, []))  # Kubernetes deletes what it owns
        instance = read(SympoziumInstance, raw)
        losers = self.callers.remember(instance)
        self.providers.remember(instance)
        bound = await self.bounds.effective(instance)
        gathered = await self.tools.of(instance, bound)
        facts, server_run = await self._gather(instance, gathered)
        facts = replace(facts, route=await self._route(facts), policy=bound)
        facts = replace(facts, denied=self._denied(facts))
        plan = policy.decide(facts)
        if plan.skills is None and (bound is not None or instance.status.agent_document is not None):
            facts = replace(facts, kept=within_policy.rebound(await self.skills.document(instance), bound))
            plan = policy.decide(facts)
        try:
            await self._act(facts, plan, server_run)
        except ApiError as refusal:
            if refusal.final:
                await self._refuse(facts, write_refused(refusal.message))
            raise
        except NameTaken as failure:
            await self._refuse(facts, name_taken(str(failure)))
            raise
        await self._report(facts.instance, plan)
        self._count_denial(facts)
        server = Key("run", key.namespace, names.web_endpoint_run(key.name))
        also = [server, *losers] if plan.server_wanted or facts.server else [*losers]
        if facts.pool or facts.instance.status.warm_pool:
            also.append(Key("pool", key.namespace, key.name))
        also += self.policy_objects.bound(key, policy_binding.binding(instance, await self.bounds.of(key.namespace)))
        if gathered.has_news or (gathered.is_awaited and plan.status.get("agentDocument") == digest(facts.document)):
            also.append(Key("tools", key.namespace, ALL))
        return Result(requeue_after=plan.requeue_after, enqueue=(*also, *self.next_runs((key.namespace, key.name))))

    async def _gather(
        self, instance: SympoziumInstance, tools: GatheredTools
    ) -> tuple[policy.InstanceInput, Object | None]:
        """Return the plan's input, and the server run as it was read."""
        namespace, name = instance.key
        wanted = effective.model(instance).secret
        secret, callers, pack, keys, server, sources = await asyncio.gather(
            self.client.find(SECRETS, namespace, wanted) if wanted else _nothing(),
            self.callers.of_others(instance) if _uses_secrets(instance) else no_secrets(),
            web_endpoint_pack(self.client, namespace, self.namespace)
            if effective.web_endpoint_is_on(instance)
            else _no_pack(),
            auth_secret(self.client, instance),
            self.client.find(RUNS, namespace, names.web_endpoint_run(name)),
            self.skills.sources(instance),
        )
        if wanted:
            self.poll.remember(Key("instance", *instance.key), SECRETS, wanted, secret)
        models = await self.providers.of_instance(instance, callers)
        facts = policy.InstanceInput(
            now=self.clock.now(),
            instance=instance,
            secret=secret,
            callers_secrets=callers,
            pack=pack,
            auth_secret=keys,
            server=read(AgentRun, server) if server else None,
            sources=sources,
            document=agent_tools.with_models(tools.document, models),
            models=models,
            tools=tools.condition,
            denied_tools=tools.denied,
            pool=self.pools.status(instance, secret, models),
        )
        return facts, server

    def _denied(self, facts: policy.InstanceInput) -> FieldDenial | None:
        sidecar = facts.pack.sidecar if effective.web_endpoint_is_on(facts.instance) else None
        images = [self.agent_image, *filter(None, [sidecar.image if sidecar else None])]
        try:
            targets = model_targets.of_instance(facts.instance, facts.document)
        except ModelsUnresolved:
            targets = []  # ModelReady says so
        return within_policy.refusal(facts.policy, facts.instance, targets, images)

    def _count_denial(self, facts: policy.InstanceInput) -> None:
        """Count what the policy newly refuses of the instance."""
        before = find(facts.instance.status.conditions, within_policy.WITHIN_POLICY)
        now = within_policy.condition(facts.policy, facts.instance, facts.denied, facts.denied_tools)
        if now is not None and not now.ok and (before is None or before.message != now.message):
            provider = facts.instance.spec.agents.default.provider_ref
            parts = policy_check.parts_of(facts.policy, facts.instance, provider)
            for each in [facts.denied] if facts.denied else [*parts, *facts.denied_tools]:
                self.metrics.denied.labels(each.denial.kind).inc()

    async def _route(self, facts: policy.InstanceInput) -> route_policy.RouteState:
        if not effective.web_endpoint_is_on(facts.instance):
            return route_policy.NO_ROUTE  # an existing route goes with the server run
        return await self.routes.reconcile(facts.instance, facts.server)

    async def _act(self, facts: policy.InstanceInput, plan: policy.InstancePlan, server_run: Object | None) -> None:
        instance, server = facts.instance, facts.server
        desired = [agent_service_account(instance)]
        ended = server is not None and server.ended and policy.owns(instance, server)
        if plan.server_wanted and not ended:
            desired.append(desired_server_run(instance))
        await self.converge(desired, read=[server_run])
        await self.policies.converge_agents(instance, facts.models)
        if plan.skills is not None:
            await self.skills.keep(instance, plan.skills, facts.document)
        elif facts.kept is not None:
            await self.skills.keep_document(instance, facts.kept)
        if server is not None and ended:
            await self.client.delete(RUNS, *server.key, uid=server.metadata.uid)

    async def _refuse(self, facts: policy.InstanceInput, refusal: ConditionUpdate) -> None:
        """Report why a child cannot be made."""
        await self._report(facts.instance, policy.decide(replace(facts, refusal=refusal)))

    async def _report(self, instance: SympoziumInstance, plan: policy.InstancePlan) -> None:
        before = instance.status.model_dump(by_alias=True, exclude_none=True)
        if patch := merge_patch(before, plan.status):
            await self.client.patch(INSTANCES, *instance.key, {"status": patch}, subresource="status")
            for message in event_messages.of_instance(instance, plan.status):
                await self.events.emit(instance, message)


def _uses_secrets(instance: SympoziumInstance) -> bool:
    """Return whether the instance gives a Secret to a model, by itself or by a Provider."""
    return bool(instance.spec.auth_refs) or model_targets.is_resolved_by_operator(instance)


async def _nothing() -> None:
    return None


async def _no_pack() -> WebEndpointPack:
    return NO_PACK
