"""Reconciler of AgentRuns in mode server: the web-proxy of an instance and all that belongs to it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from sympozium_api import effective, names
from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.reading import read
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.resources import DEPLOYMENTS, INSTANCES, PODS, RUNS, Object
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import Converger, remove
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.cluster.references import auth_secret, web_endpoint_pack
from sympozium_operator.desired import rbac, scaling
from sympozium_operator.desired import web_proxy as desired_server
from sympozium_operator.policy import event_messages, key_limits_condition, model_secret
from sympozium_operator.policy import server_plan as policy
from sympozium_operator.policy.conditions import ConditionUpdate, merge_patch, name_taken, write_refused
from sympozium_operator.policy.instance_plan import ACCEPTED
from sympozium_operator.reconcile.api_key_secrets import ApiKeySecrets
from sympozium_operator.reconcile.caller_secrets import CallerSecrets, no_secrets
from sympozium_operator.reconcile.network_policies import NetworkPolicies
from sympozium_operator.reconcile.provider_directory import ProviderDirectory
from sympozium_operator.reconcile.session_keys import SessionKeys
from sympozium_operator.result import DONE, Key, NameTaken, Result


@dataclass(frozen=True, kw_only=True)
class ServerRunReconciler:
    """Reconciles runs in mode server."""

    client: Client
    converge: Converger
    clock: Clock
    events: EventRecorder
    namespace: str
    """Namespace of the operator, where built-in SkillPacks are."""
    pull_policy: str
    keys: ApiKeySecrets
    callers: CallerSecrets
    providers: ProviderDirectory
    session_keys: SessionKeys
    policies: NetworkPolicies
    queue_timeout: int
    """Seconds that a run may wait for its start, unless its instance has another limit."""
    key_retention: int
    """Seconds for which an Idempotency-Key stands."""
    template: Object = field(default_factory=dict)
    """Labels, annotations and scheduling fields of web-proxy pods, as a part of a pod template."""
    tracing: desired_server.TraceExport | None = None
    metrics_on_http: bool = False
    """True if web-proxies have /metrics at port 8080 too."""

    async def reconcile(self, run: AgentRun) -> Result:
        """Reconcile a server run that was just read."""
        if run.ended or run.metadata.deletion_timestamp:
            return DONE
        facts = await self._gather(run)
        decision = policy.decide(facts)
        if decision is None:
            return DONE
        if isinstance(decision, policy.Drain):
            return await self._drain(run)
        if isinstance(decision, ConditionUpdate):
            return await self._refuse(facts, decision)
        try:
            session_key = await self.session_keys.keep(run)
            if isinstance(session_key, ConditionUpdate):
                return await self._refuse(facts, session_key)
            keys = facts.auth_secret or await self.keys.generated(run, decision.instance)
            deployment = await self._make(run, decision, keys, session_key)
        except ApiError as refusal:
            if refusal.final:
                await self._refuse(facts, write_refused(refusal.message))
            raise
        except NameTaken as failure:
            await self._refuse(facts, name_taken(str(failure)))
            raise
        outcome = await self._report(facts, ACCEPTED, deployment, key_limits_condition.state(keys))
        if policy.settled(deployment) and event_messages.was_unsettled(run):
            await self.events.emit(decision.instance, event_messages.settled(deployment))
        return outcome

    def forget(self, key: Key) -> None:
        """Forget a run that is gone."""
        self.keys.poll.forget(key)
        self.session_keys.poll.forget(key)

    async def _gather(self, run: AgentRun) -> policy.ServerInput:
        raw = await self.client.find(INSTANCES, run.metadata.namespace, run.spec.agent_ref)
        if raw is None:
            return policy.ServerInput(run, None)
        instance = read(SympoziumInstance, raw)
        pack, keys, callers = await asyncio.gather(
            web_endpoint_pack(self.client, run.metadata.namespace, self.namespace),
            auth_secret(self.client, instance),
            self.callers.of_others(instance) if instance.spec.agents.default.embedding_models else no_secrets(),
        )
        return policy.ServerInput(run, model_secret.without_refused_refs(instance, callers), pack, keys)

    async def _make(self, run: AgentRun, plan: policy.ServerPlan, keys: Object, session_key: str) -> Object:
        """Converge all children; return the live Deployment.

        ``keys`` is the Secret with the API keys, ``session_key`` the UID of the Secret with the session key.
        """
        name = names.server(run.metadata.name)
        before = await self.client.find(DEPLOYMENTS, run.metadata.namespace, name)
        version: str = keys["metadata"]["resourceVersion"]
        if before is not None and policy.has_older_keys(before, version):
            await self._notify_pods_of_keys(run, version)
        self.keys.remember(run, keys)
        account, *_ = await self.converge(rbac.server_access(run))
        children = desired_server.build(
            run,
            plan.instance,
            plan.sidecar,
            replicas=policy.replicas(plan, before),
            keys_secret=plan.keys_secret,
            keys_version=version,
            pull_policy=self.pull_policy,
            account=account["metadata"]["uid"],
            session_key=session_key,
            key_retention=self.key_retention,
            longest_run=effective.longest_wait(plan.instance, self.queue_timeout),
            template=self.template,
            tracing=self.tracing,
            metrics_on_http=self.metrics_on_http,
            models=await self._models(plan.instance),
        )
        scaled = scaling.build(run, replicas=plan.replicas, autoscaling=plan.autoscaling)
        live = await self.converge([*children, *scaled], read=[before])
        for kind in scaling.KINDS:
            if kind.kind not in [body["kind"] for body in scaled]:
                await remove(self.client, kind, run, name)
        await self.policies.converge_server(run, children[0])
        return next(body for body in live if body["kind"] == DEPLOYMENTS.kind)

    async def _models(self, instance: SympoziumInstance) -> Sequence[ResolvedModel]:
        """Return the instance's models if the web-proxy itself calls one of them: for embeddings."""
        if not instance.spec.agents.default.embedding_models:
            return ()
        return (await self.providers.of_instance(instance, await self.callers.of_others(instance))).models

    async def _drain(self, run: AgentRun) -> Result:
        """Delete the Deployment, and the run when no pod is left: until then pods need their rights, keys and Service to finish."""
        await remove(self.client, DEPLOYMENTS, run, names.server(run.metadata.name))
        now = self.clock.now()
        left = policy.draining(await self._pods(run), now)
        if left:
            await self._write(run, policy.status_while_draining(run, left, now))
            return Result(requeue_after=policy.POLL)
        await self.client.delete(RUNS, *run.key, uid=run.metadata.uid)
        return DONE

    async def _notify_pods_of_keys(self, run: AgentRun, version: str) -> None:
        """Let pods see changed keys at once: a kubelet refreshes a mounted Secret every 60 to 90 s, and whenever the pod itself changes."""
        patch = {"metadata": {"annotations": {names.ANNOTATION_KEYS_VERSION: version}}}
        for pod in await self._pods(run):
            try:
                await self.client.patch(PODS, run.metadata.namespace, pod["metadata"]["name"], patch)
            except ApiError as error:
                if not error.not_found:
                    raise

    async def _refuse(self, facts: policy.ServerInput, failure: ConditionUpdate) -> Result:
        """Report why the server stays as it is."""
        namespace, name = facts.run.key
        return await self._report(facts, failure, await self.client.find(DEPLOYMENTS, namespace, names.server(name)))

    async def _report(
        self,
        facts: policy.ServerInput,
        accepted: ConditionUpdate,
        deployment: Object | None,
        key_limits: ConditionUpdate | None = None,
    ) -> Result:
        run = facts.run
        generation = (facts.instance or run).metadata.generation
        settled = deployment is not None and policy.settled(deployment)
        pods = [] if settled else await self._pods(run)
        status = policy.status(
            run, accepted, deployment, pods, self.clock.now(), generation=generation, key_limits=key_limits
        )
        await self._write(run, status)
        return DONE if settled and accepted.ok else Result(requeue_after=policy.POLL)

    async def _write(self, run: AgentRun, status: Object) -> None:
        before = run.status.model_dump(by_alias=True, exclude_none=True)
        if patch := merge_patch(before, before | status):
            await self.client.patch(RUNS, *run.key, {"status": patch}, subresource="status")

    async def _pods(self, run: AgentRun) -> list[Object]:
        selector = ",".join(f"{key}={value}" for key, value in desired_server.selector(run).items())
        return await self.client.list(PODS, run.metadata.namespace, labelSelector=selector)
