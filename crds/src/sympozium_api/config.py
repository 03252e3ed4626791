"""SympoziumConfig: settings of an installation, one object ``default`` in the operator's namespace."""

from typing import Annotated, Literal

from pydantic import Field

from sympozium_api.base import ApiModel, Conditions, Name, Resource, rule, rules


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
    """A Secret with a certificate for ``*.<baseDomain>``."""
    cert_manager_cluster_issuer: Name | None = None
    """The cert-manager ClusterIssuer that makes that Secret."""


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
    """Domain under which instances get their host names."""
    tls: Tls = Tls()
    """TLS at the gateway."""


class ConfigSpec(ApiModel):
    """Settings of an installation."""

    gateway: Gateway = Gateway()
    """The gateway through which web endpoints are reached from outside. This version makes none yet."""


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
