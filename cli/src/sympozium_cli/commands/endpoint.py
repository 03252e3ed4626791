"""``key`` and ``url``: what a client of an instance's web endpoint needs."""

from sympozium_api.resources import INSTANCES, SECRETS
from sympozium_cli.cluster import Cluster
from sympozium_cli.command_line import say
from sympozium_cli.failures import Failure
from sympozium_cli.instance_states import endpoint_of, keys_in, secret_of_keys
from sympozium_cli.output import print_line
from sympozium_cli.plain_text import plain


async def key(cluster: Cluster, name: str, entry: str | None) -> None:
    """Print an API key of an instance, by the user's own right to the Secret. ``entry``: its name there; None: the first."""
    namespace = cluster.one_namespace
    instance = await cluster.client.get(INSTANCES, namespace, name)
    secret = secret_of_keys(instance)
    body = await cluster.client.find(SECRETS, namespace, secret)
    keys = {} if body is None else keys_in(body)
    if not keys:
        raise Failure(f"{name} has no API key yet; switch its web endpoint on: kubectl sympozium enable {name}")
    chosen = entry or next(iter(keys))
    if chosen not in keys:
        raise Failure(f"the Secret {secret} has no entry {chosen}; it has {', '.join(keys)}")
    print_line(plain(keys[chosen]))


async def url(cluster: Cluster, name: str) -> None:
    """Print the base URL of an instance's web endpoint."""
    status = endpoint_of(await cluster.client.get(INSTANCES, cluster.one_namespace, name))
    if not status.get("enabled") or not status.get("url"):
        raise Failure(f"{name} has no web endpoint; switch it on: kubectl sympozium enable {name}")
    print_line(plain(status["url"]))
    if not status.get("gatewayReady"):
        say("inside the cluster only, because no gateway routes to it; from here: kubectl sympozium chat " + name)
