"""Gateway of a SympoziumConfig."""

from sympozium_api import names
from sympozium_api.base import owner_reference
from sympozium_api.config import AllowedRoutes, SympoziumConfig
from sympozium_api.config import Gateway as Settings
from sympozium_api.resources import GATEWAYS, Object
from sympozium_operator.desired import pod_parts

HTTPS_LISTENER = "https"
_ISSUER_ANNOTATION = "cert-manager.io/cluster-issuer"


def build(config: SympoziumConfig) -> Object:
    """Return the Gateway, in the namespace of its SympoziumConfig and owned by it."""
    gateway, namespace = config.spec.gateway, config.metadata.namespace
    labels, owner = names.labels("gateway"), owner_reference(config)
    body = pod_parts.head(GATEWAYS, gateway.name, namespace, labels=labels, owner=owner)
    if gateway.tls.enabled and (issuer := gateway.tls.cert_manager_cluster_issuer):
        body["metadata"]["annotations"] = {_ISSUER_ANNOTATION: issuer}
    return body | {"spec": {"gatewayClassName": gateway.gateway_class_name, "listeners": _listeners(gateway)}}


def _listeners(gateway: Settings) -> list[Object]:
    listeners = [{"name": "http", "port": 80, "protocol": "HTTP"} | _allowed(gateway.allowed_routes)]
    if gateway.tls.enabled:
        https = {"name": HTTPS_LISTENER, "port": 443, "protocol": "HTTPS", "hostname": f"*.{gateway.base_domain}"}
        certificate = {"group": "", "kind": "Secret", "name": gateway.tls_secret}
        tls = {"tls": {"mode": "Terminate", "certificateRefs": [certificate]}}
        listeners.append(https | tls | _allowed(gateway.allowed_routes))
    return listeners


def _allowed(routes: AllowedRoutes) -> Object:
    namespaces: Object = {"from": routes.from_}
    if routes.selector is not None:
        labels = routes.selector.model_dump(by_alias=True)
        namespaces["selector"] = {name: value for name, value in labels.items() if value}
    return {"allowedRoutes": {"namespaces": namespaces}}
