"""Connections from kubeconfig files, read by the official client's loader: exec plugins, OIDC, client certificates, proxies.

The only module that imports ``kubernetes``. It is imported where there is no service account, on people's machines: the
package costs a second of import time and 20 MB, and it is in no image.
"""

import ssl

from kubernetes.client import Configuration
from kubernetes.client.rest import should_bypass_proxies
from kubernetes.config import load_kube_config

from sympozium_api.client.auth import ApiConnection


def from_kubeconfig(files: str) -> ApiConnection:
    """Return the connection of the current context. ``files`` are paths as in ``KUBECONFIG``, separated by ``:``.

    Raises kubernetes.config.ConfigException for a file that does not exist or is not valid.
    """
    configuration = Configuration()
    load_kube_config(config_file=files, client_configuration=configuration)  # type: ignore[no-untyped-call] # not annotated
    return ApiConnection(
        url=configuration.host,
        ssl=_tls(configuration),
        authorization=lambda: configuration.get_api_key_with_prefix("BearerToken"),
        proxy=_proxy(configuration),
        server_hostname=configuration.tls_server_name or None,
    )


def _tls(configuration: Configuration) -> ssl.SSLContext | bool:
    if not configuration.host.startswith("https:"):
        return False
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return tls


def _proxy(configuration: Configuration) -> str | None:
    return None if should_bypass_proxies(configuration.host, configuration.no_proxy or "") else configuration.proxy
