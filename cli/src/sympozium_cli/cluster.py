"""The way into a cluster: ``kubectl proxy`` on a socket that only this user can open.

So every kubeconfig works that kubectl understands (exec plugins, client certificates, OIDC, HTTP proxies), and the rights are the user's.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sympozium_cli.failures import WrongUsage
from sympozium_cli.kubectl import kubectl
from sympozium_cli.options import KubectlOptions, current_context

if TYPE_CHECKING:
    from sympozium_api.client import Client


@dataclass(frozen=True)
class Cluster:
    """A cluster that was reached, with the user's rights."""

    client: "Client"
    namespace: str | None
    """Namespace that the user selected; None: all."""
    context: str
    """Name of the context; empty: the kubeconfig has none."""
    kubectl_args: tuple[str, ...] = ()
    """Options that lead kubectl to the same cluster as the same user."""
    contexts: tuple[str, ...] = ()
    """Names of all contexts of the kubeconfig."""

    @property
    def one_namespace(self) -> str:
        """The namespace, of commands about one object. Raises WrongUsage for all namespaces."""
        if self.namespace is None:
            raise WrongUsage("this command is about one namespace: use -n NAME instead of -A")
        return self.namespace


@asynccontextmanager
async def connect(
    options: KubectlOptions,
    *,
    on_message: Callable[[str], None] = lambda _line: None,
    load: Callable[[], object] = lambda: None,
) -> AsyncIterator[Cluster]:
    """Reach the cluster that the options select.

    ``on_message`` gets what kubectl and its plugins say to the user; ``load`` imports what is needed afterwards, while kubectl starts.
    Raises ClusterAway if kubectl refuses the options; a cluster that is away shows at the first call only, as ApiUnavailable.
    """
    current = current_context(options, os.environ)
    namespace = None if options.all_namespaces else options.namespace or current.namespace
    with tempfile.TemporaryDirectory(prefix="kubectl-sympozium-", ignore_cleanup_errors=True) as folder:  # of mode 0700
        socket = f"{folder}/api"
        words = (*options.kubectl_args, "proxy", f"--unix-socket={socket}")
        async with kubectl(*words, folder=folder, on_message=on_message) as proxy:
            from sympozium_api.client import ApiConnection, Client  # takes as long as kubectl takes to start

            load()
            await proxy.first_line()
            connection = ApiConnection("http://localhost", ssl=False, unix_socket=socket)
            async with Client.connect(connection) as client:
                yield Cluster(client, namespace, current.context, options.kubectl_args, current.all_contexts)
