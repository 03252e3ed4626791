"""SympoziumConfig: settings of an installation, one object ``default`` in the operator's namespace."""

from typing import Annotated, Literal

from pydantic import Field

from sympozium_api.base import ApiModel, Conditions, Name, Resource, StringMap, rule, rules


class Tls(ApiModel):
    """TLS at the gateway."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!(has(self.enabled) && self.enabled) || has(self.secretName) || has(self.certManagerClusterIssuer)",
                "tls.enabled needs secretName or certManagerClusterIssuer",
            )
        )
    }

    enabled: bool = False
    """Whether the gateway has an https listener."""
    secret_name: Name | None = None
    """A Secret in the operator's namespace with a certificate for ``*.<baseDomain>``. Default: ``<gateway>-tls``."""
    cert_manager_cluster_issuer: Name | None = None
    """The cert-manager ClusterIssuer that makes that Secret."""


class LabelExpression(ApiModel):
    """A condition on a label."""

    key: Annotated[str, Field(min_length=1, max_length=317)]
    """The label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label's value is compared."""
    values: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=64)] = []
    """The values that it is compared with: some for ``In`` and ``NotIn``, none for the others."""


class LabelSelector(ApiModel):
    """Which labels an object must have: all that is named."""

    match_labels: StringMap = {}
    """Labels with their values."""
    match_expressions: Annotated[list[LabelExpression], Field(max_length=16)] = []
    """Conditions on labels."""


class AllowedRoutes(ApiModel):
    """The namespaces whose web endpoints the gateway serves."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "(has(self.from) && self.from == 'Selector') == has(self.selector)",
                "allowedRoutes.selector is needed with from: Selector, and goes with nothing else",
            )
        )
    }

    from_: Annotated[Literal["All", "Selector", "Same"], Field(alias="from")] = "All"
    """All namespaces, those with the labels in ``selector``, or the operator's own only."""
    selector: LabelSelector | None = None
    """The labels of the namespaces."""


class Gateway(ApiModel):
    """The gateway through which web endpoints are reached from outside."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!(has(self.enabled) && self.enabled) || (has(self.gatewayClassName) && has(self.baseDomain))",
                "gateway.enabled needs gatewayClassName and baseDomain",
            )
        )
    }

    enabled: bool = False
    """Whether a Gateway is made."""
    name: Name = "sympozium"
    """Name of the Gateway."""
    gateway_class_name: Name | None = None
    """Its GatewayClass."""
    base_domain: Annotated[str | None, Field(max_length=253)] = None
    """Domain under which instances get their host names: at most 212 characters, for there is an instance's name in front."""
    tls: Tls = Tls()
    """TLS at the gateway. With it, web endpoints are reached by https only."""
    allowed_routes: AllowedRoutes = AllowedRoutes()
    """The namespaces whose web endpoints the gateway serves."""

    @property
    def tls_secret(self) -> str:
        """The Secret with the gateway's certificate."""
        return self.tls.secret_name or f"{self.name}-tls"


class ConfigSpec(ApiModel):
    """Settings of an installation."""

    gateway: Gateway = Gateway()
    """The gateway through which web endpoints are reached from outside."""


class GatewayStatus(ApiModel):
    """The gateway as it is."""

    ready: bool = False
    """Whether it routes."""
    address: Annotated[str | None, Field(max_length=253)] = None
    """Its address."""
    listener_count: int | None = None
    """How many listeners it has."""


class ConfigStatus(ApiModel):
    """What the operator reports of a SympoziumConfig."""

    phase: Literal["Pending", "Ready", "Error"] | None = None
    """Whether the settings are in force."""
    conditions: Conditions = []
    """What holds them back."""
    gateway: GatewayStatus | None = None
    """The gateway as it is."""


class SympoziumConfig(Resource):
    """Settings of an installation: one object ``default`` in the operator's namespace."""

    spec: ConfigSpec = ConfigSpec()
    status: ConfigStatus = ConfigStatus()
