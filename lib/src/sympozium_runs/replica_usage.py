"""Requests that other replicas admit: each of their runs costs its key a token here too."""

from collections.abc import Callable
from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.clock import Clock
from sympozium_api.run import AgentRun
from sympozium_api.web_endpoint import RateLimit
from sympozium_runs.rate_limits import Bucket, RateLimiter


@dataclass(frozen=True)
class ReplicaUsage:
    """Charges this replica's rate limits for runs that other replicas admitted."""

    limiter: RateLimiter
    limit: Callable[[Bucket], RateLimit]
    """Function that returns the current limit of an instance's key."""
    clock: Clock
    reply_to: str
    """Address that runs of this replica carry."""

    def charge(self, run: AgentRun, *, began_before: bool) -> None:
        """Charge a run that is seen for the first time; ``began_before`` if it was created before this process watched.

        Such a run is charged for the time of its creation. It may carry this replica's own address, because a restarted
        container has forgotten what it admitted.

        """
        annotations = run.metadata.annotations
        key_id = annotations.get(names.ANNOTATION_KEY_ID)
        if key_id is None or (annotations.get(names.ANNOTATION_REPLY_TO) == self.reply_to and not began_before):
            return
        age = (self.clock.now() - run.metadata.created).total_seconds() if began_before else 0.0
        key = (*run.instance_key, key_id)
        self.limiter.charge(key, self.limit(key), seconds_ago=max(0.0, age))
