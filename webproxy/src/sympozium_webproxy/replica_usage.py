"""What the other replicas of this endpoint admit: each of their runs costs its key a token here as well."""

from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.clock import Clock
from sympozium_api.run import AgentRun
from sympozium_webproxy.instance_cache import InstanceCache
from sympozium_webproxy.limits import RateLimiter


@dataclass(frozen=True)
class ReplicaUsage:
    """Charges the rate limits of this replica for runs that it has not admitted itself."""

    limiter: RateLimiter
    instance_cache: InstanceCache
    clock: Clock
    reply_to: str
    """The address that runs of this replica carry."""

    def charge(self, run: AgentRun, *, began_before: bool) -> None:
        """Take note of a run that is seen for the first time; ``began_before``: this process did not watch when it was made.

        One that began before is charged for the time when it was made. It may carry this replica's own address: its container
        was started anew, and has forgotten what it admitted.
        """
        about = run.metadata.annotations
        key_id = about.get(names.ANNOTATION_KEY_ID)
        if key_id is None or (about.get(names.ANNOTATION_REPLY_TO) == self.reply_to and not began_before):
            return
        age = (self.clock.now() - run.metadata.created).total_seconds() if began_before else 0.0
        self.limiter.charge(key_id, self.instance_cache.rate_limit, seconds_ago=max(0.0, age))
