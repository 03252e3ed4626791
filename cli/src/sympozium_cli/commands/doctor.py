"""``doctor``: checks of an installation, each with what helps."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime

from sympozium_api import names, operator_lease
from sympozium_api.client import ApiError, Client
from sympozium_api.operator_lease import OPERATOR
from sympozium_api.resources import CONFIGS, DEPLOYMENTS, INSTANCES, PODS, Object, ResourceType
from sympozium_cli import health
from sympozium_cli.api_failures import lacks_kind, lacks_right
from sympozium_cli.cluster import Cluster
from sympozium_cli.commands.version import own_version
from sympozium_cli.health import Finding, Right
from sympozium_cli.output import Format, Table, print_line, print_value
from sympozium_cli.plain_text import plain

_REVIEWS = ResourceType("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")
_SCHEMAS = f"/openapi/v3/apis/{names.API_VERSION}"


async def run(cluster: Cluster, operator_namespace: str, form: Format) -> int:
    """Print all findings. Return 1 if something does not work. Raises ApiUnavailable if the cluster is away."""
    findings = await _Doctor(cluster, operator_namespace).findings()
    if form.is_table:
        Table(("CHECK", "STATE", "DETAIL")).print(_rows(findings))
    elif form is Format.NAME:
        print_line("\n".join(finding.check for finding in findings if finding.state == "failed"))
    else:
        print_value([asdict(finding) for finding in findings], form)
    return int(any(finding.state == "failed" for finding in findings))


def _rows(findings: list[Finding]) -> list[tuple[str, str, str]]:
    rows = list[tuple[str, str, str]]()
    for finding in findings:
        rows.append((finding.check, finding.state, finding.detail))
        rows += [("", "", f"-> {plain(finding.help)}")] if finding.help else []
    return rows


class _Doctor:
    """The checks of one cluster. Every method may raise ApiUnavailable."""

    def __init__(self, cluster: Cluster, operator_namespace: str) -> None:
        self._cluster = cluster
        self._client: Client = cluster.client
        self._home = operator_namespace

    async def findings(self) -> list[Finding]:
        """Return the results of all checks."""
        version = await self._client.raw("/version")
        reached = f"Kubernetes {version.get('gitVersion')}, context {self._cluster.context or '(none)'}"
        checks: dict[str, Callable[[], Awaitable[Finding]]] = {
            "kinds": self._kinds,
            "operator": self._operator,
            "lease": self._lease,
            "images": self._images,
            "gateway": self._gateway,
            "instances": self._instances,
            "rights": self._rights,
        }
        results = await asyncio.gather(*(self._checked(name, check) for name, check in checks.items()))
        return [Finding("cluster", "ok", reached), *results]

    async def _checked(self, name: str, check: Callable[[], Awaitable[Finding]]) -> Finding:
        try:
            return await check()
        except ApiError as error:
            if lacks_right(error):
                return health.forbidden(name, error.message)
            if lacks_kind(error):
                return Finding(name, "failed", "the cluster does not have the kind", health.UPGRADE_CRDS)
            raise

    async def _kinds(self) -> Finding:
        document = await self._client.raw(_SCHEMAS)
        return health.kinds((document.get("components") or {}).get("schemas") or {})

    async def _operator(self) -> Finding:
        deployment = await self._client.find(DEPLOYMENTS, self._home, OPERATOR)
        return health.operator(deployment, own_version(), self._home)

    async def _lease(self) -> Finding:
        leases = await operator_lease.read_leases(self._client, self._home)
        return health.lease(leases, datetime.now(UTC), self._home)

    async def _images(self) -> Finding:
        pods = await self._client.list(PODS, self._home, labelSelector="app.kubernetes.io/part-of=sympozium")
        return health.images(pods, self._home)

    async def _gateway(self) -> Finding:
        return health.gateway(await self._client.find(CONFIGS, self._home, names.CONFIG), self._home)

    async def _instances(self) -> Finding:
        return health.instances(await self._client.list(INSTANCES, self._cluster.namespace), self._where)

    async def _rights(self) -> Finding:
        allowed = await asyncio.gather(*map(self._may, health.RIGHTS))
        return health.rights(dict(zip(health.RIGHTS, allowed, strict=True)), self._where)

    async def _may(self, right: Right) -> bool:
        body: Object = {"apiVersion": _REVIEWS.api_version, "kind": _REVIEWS.kind} | right.review(
            self._cluster.namespace
        )
        review = await self._client.review(_REVIEWS, body)
        return bool((review.get("status") or {}).get("allowed"))

    @property
    def _where(self) -> str:
        return "in all namespaces" if self._cluster.namespace is None else f"in namespace {self._cluster.namespace}"
