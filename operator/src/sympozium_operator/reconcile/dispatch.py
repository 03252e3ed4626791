"""From a key to the reconciler of its kind."""

from dataclasses import dataclass

from sympozium_api.client import Client
from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun
from sympozium_operator.metrics import OperatorMetrics
from sympozium_operator.outcome import Key, Outcome
from sympozium_operator.reconcile.config import Configs
from sympozium_operator.reconcile.instance import Instances
from sympozium_operator.reconcile.pool import Pools
from sympozium_operator.reconcile.run import Runs
from sympozium_operator.reconcile.server import Servers
from sympozium_operator.reconcile.skillpack import SkillPacks


@dataclass(frozen=True)
class Dispatch:
    """What the work queue calls."""

    client: Client
    metrics: OperatorMetrics
    instances: Instances
    runs: Runs
    servers: Servers
    skill_packs: SkillPacks
    configs: Configs
    pools: Pools

    async def __call__(self, key: Key) -> Outcome:
        """Reconcile the object that a key names."""
        async with self.metrics.reconcile(key):
            match key.kind:
                case "instance":
                    return await self.instances.reconcile(key)
                case "skillpack":
                    return await self.skill_packs.reconcile(key)
                case "pool":
                    return await self.pools.reconcile(key)
                case "config":
                    return await self.configs.reconcile(key)
                case "run":
                    return await self._run(key)

    async def _run(self, key: Key) -> Outcome:
        raw = await self.client.find(RUNS, key.namespace, key.name)
        if raw is None:
            self.servers.keys.forget(key)
            return self.runs.gone(key)
        run = AgentRun.model_validate(raw)
        return await (self.servers if run.spec.mode == "server" else self.runs).reconcile(run)
