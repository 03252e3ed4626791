"""SympoziumConfig: settings of an installation, in one object ``default`` in the operator's namespace."""

from typing import Annotated, Literal

from pydantic import Field

from sympozium_api.base import ApiModel, Conditions, Name, Resource, StringMap, rule, rules


class Tls(ApiModel):
    """TLS at the gateway."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!(has(self.enabled) && self.enabled) || has(self.secretName) || has(self.certManagerClusterIssuer)",
                "tls.enabled requires secretName or certManagerClusterIssuer",
            )
        )
    }

    enabled: bool = False
    """True adds an https listener to the gateway."""
    secret_name: Name | None = None
    """Secret in the operator's namespace with a certificate for ``*.<baseDomain>``. Default: ``<gateway>-tls``."""
    cert_manager_cluster_issuer: Name | None = None
    """Name of the cert-manager ClusterIssuer that creates that Secret."""


class LabelExpression(ApiModel):
    """A condition on a label."""

    key: Annotated[str, Field(min_length=1, max_length=317)]
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """Comparison with the label's value."""
    values: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=64)] = []
    """Values for the comparison: required for ``In`` and ``NotIn``, empty for the other operators."""


class LabelSelector(ApiModel):
    """A selector of objects that have all these labels."""

    match_labels: StringMap = {}
    """Labels that an object must have, with their values."""
    match_expressions: Annotated[list[LabelExpression], Field(max_length=16)] = []
    """Conditions that an object's labels must fulfil."""


class AllowedRoutes(ApiModel):
    """The namespaces whose web endpoints the gateway serves."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "(has(self.from) && self.from == 'Selector') == has(self.selector)",
                "allowedRoutes.selector is required with from: Selector and not allowed otherwise",
            )
        )
    }

    from_: Annotated[Literal["All", "Selector", "Same"], Field(alias="from")] = "All"
    """All: all namespaces. Selector: namespaces with the labels in ``selector``. Same: only the operator's namespace."""
    selector: LabelSelector | None = None
    """Labels of the namespaces."""


class Gateway(ApiModel):
    """The gateway that makes web endpoints reachable from outside the cluster."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!(has(self.enabled) && self.enabled) || (has(self.gatewayClassName) && has(self.baseDomain))",
                "gateway.enabled requires gatewayClassName and baseDomain",
            )
        )
    }

    enabled: bool = False
    """True creates a Gateway."""
    name: Name = "sympozium"
    """Name of the Gateway."""
    gateway_class_name: Name | None = None
    """Name of the GatewayClass."""
    base_domain: Annotated[str | None, Field(max_length=253)] = None
    """Domain of the instances' host names. At most 212 characters, because an instance's name precedes it."""
    tls: Tls = Tls()
    """TLS at the gateway. If it is enabled, web endpoints are reachable over https only."""
    allowed_routes: AllowedRoutes = AllowedRoutes()
    """The namespaces whose web endpoints the gateway serves."""

    @property
    def tls_secret(self) -> str:
        """Name of the Secret with the gateway's certificate."""
        return self.tls.secret_name or f"{self.name}-tls"


class ConfigSpec(ApiModel):
    """Settings of an installation."""

    gateway: Gateway = Gateway()
    """The gateway that makes web endpoints reachable from outside the cluster."""


class GatewayStatus(ApiModel):
    """Observed state of the gateway."""

    ready: bool = False
    """True if the gateway accepts traffic."""
    address: Annotated[str | None, Field(max_length=253)] = None
    """Address of the gateway."""
    listener_count: int | None = None
    """Number of listeners of the gateway."""


class ConfigStatus(ApiModel):
    """Observed state of a SympoziumConfig, written by the operator."""

    phase: Literal["Pending", "Ready", "Error"] | None = None
    """Ready: the settings are in effect. Pending: not yet. Error: a condition says what to correct."""
    conditions: Conditions = []
    """Accepted: the settings are valid. GatewayReady: the gateway and all its listeners route. RoutesReady: the gateway
    routes the host names of the installation's own APIs."""
    gateway: GatewayStatus | None = None
    """Observed state of the gateway."""


class SympoziumConfig(Resource):
    """Settings of an installation, in one object ``default`` in the operator's namespace."""

    spec: ConfigSpec = ConfigSpec()
    status: ConfigStatus = ConfigStatus()
