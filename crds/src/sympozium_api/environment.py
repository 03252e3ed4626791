"""Variables, files and commands that the operator puts into pods and that the processes in those pods read.

Nothing secret and nothing that a user wrote goes through a variable, because Kubernetes expands ``$(NAME)`` in its value.
Standard library only, because the agent imports this module.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# The agent's pod.
RUN = "SYMPOZIUM_RUN"
"""Name of the pod's AgentRun."""
IDLE_TTL = "SYMPOZIUM_IDLE_TTL"
"""Instead of RUN, with INSTANCE: seconds for which the pod waits for any run of its instance."""
RUNS_URLS = "SYMPOZIUM_RUNS_URLS"
"""Base URLs of the agent API, comma-separated; the replica that holds the caller's connection comes first."""
RUNS_TOKEN_FILE = "/var/run/secrets/sympozium.ai/runs/token"  # noqa: S105 - a path
"""The pod's projected token, audience ``names.RUNS_AUDIENCE``; the kubelet replaces it."""
EGRESS_GUARD = "SYMPOZIUM_EGRESS_GUARD"
"""URL of the egress guard, through which the pod calls models outside the cluster. Not set: it calls them directly."""
PROVIDER_KEY_FILES = (
    "/var/run/secrets/sympozium.ai/provider/provider-key",
    "/var/run/secrets/sympozium.ai/provider/api-key",
)
"""Files that may hold the model's API key: under the provider's own name in the Secret, or as ``api-key``. The first that
exists is used."""
PROVIDER_KEYS_DIR = "/var/run/secrets/sympozium.ai/providers"
"""Folder with one folder for each Provider with an API key, which has ``PROVIDER_KEYS``."""
PROVIDER_KEYS = ("key-0", "key-1", "key-2")
"""Files that may hold the Provider's API key, one for each entry that the Secret may have. The first that exists is used."""
PROVIDER_HEADERS_DIR = "/var/run/secrets/sympozium.ai/provider-headers"
"""Folder with one folder for each Provider with secret headers. A file's name is the header's, its content the value."""
EGRESS_TOKEN_FILE = "/var/run/secrets/sympozium.ai/egress/token"  # noqa: S105 - a path
"""The projected token of operator and console, audience ``names.EGRESS_AUDIENCE``, with which they ask the egress guard."""
TERMINATION_MESSAGE_FILE = "/dev/termination-log"
"""Last resort for an end record that no replica acknowledged: the operator reads it from the pod's status."""
TERMINATION_MESSAGE_BYTES = 4096
AGENT_COMMAND = ("python", "-I", "-c", "from sympozium_agent.__main__ import run; run()")
"""The same as ``-m sympozium_agent``, without the 8 ms of processor time in which Python looks for a module to run."""
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
"""Variables that name a proxy to the model server, in lower or upper case. An instance's ``env`` may hold them."""
NO_PROXY = "no_proxy"
"""Variable with the hosts that are reached without a proxy, in lower or upper case."""

# The web-proxy's pod. Its command is the SkillPack's.
INSTANCE = "SYMPOZIUM_INSTANCE"
"""Name of the SympoziumInstance that the web-proxy serves, or whose idle agent the pod is."""
NAMESPACE = "SYMPOZIUM_NAMESPACE"
"""The pod's own namespace."""
POD_NAME = "SYMPOZIUM_POD_NAME"
POD_IP = "SYMPOZIUM_POD_IP"
KEEP_ALIVE = "SYMPOZIUM_KEEP_ALIVE"
"""Duration of silence after which a stream gets a comment. The SkillPack sets this variable and those up to API_KEYS_DIR."""
MAX_BODY = "SYMPOZIUM_MAX_BODY"
"""Bytes of the largest body, as a number or with Ki or Mi."""
MAX_HELD = "SYMPOZIUM_MAX_HELD_BYTES"
"""Bytes of requests and answers that a web-proxy holds before it refuses new requests, as a number or with Ki or Mi."""
TRUSTED_PROXIES = "SYMPOZIUM_TRUSTED_PROXIES"
"""Comma-separated addresses and CIDRs of proxies whose X-Forwarded headers count, and the word ``private``."""
SHUTDOWN_GRACE = "SYMPOZIUM_SHUTDOWN_GRACE"
"""Duration for which a terminating web-proxy finishes open requests: the longest wait for an answer."""
ARCHIVE_ENABLED = "ARCHIVE_ENABLED"
"""``true`` in the operator and the console of an installation whose console archives runs."""
KEY_RETENTION = "SYMPOZIUM_KEY_RETENTION"
"""Duration for which an Idempotency-Key stands, from its run's creation."""
KEY_GRACE = "SYMPOZIUM_KEY_GRACE"
"""Duration for which a run with an Idempotency-Key continues after its last caller has left."""
STORE_WAIT = "SYMPOZIUM_STORE_WAIT"
"""Duration for which the end of an answer waits for being stored before it is sent to its caller."""
PROBE_INTERVAL = "SYMPOZIUM_PROBE_INTERVAL"
"""Duration between two checks of the model server and the issuer; PROBES_OFF: none."""
PROBES_OFF = "0s"
API_KEYS_DIR = "/etc/sympozium/api-keys"
"""The mounted Secret; every file whose name begins with ``api-key`` holds a valid API key."""
API_KEY_PREFIX = "api-key"
SESSION_KEY_ENTRY = "session-key"
"""Entry of the generated Secret. It is no API key, so its name does not begin with API_KEY_PREFIX (rule 4)."""
SESSION_KEY_FILE = f"/etc/sympozium/session-key/{SESSION_KEY_ENTRY}"
"""The mounted Secret of all replicas, with which they sign MCP sessions and the messages that they forward."""
WATCH_NAMESPACES = "SYMPOZIUM_WATCH_NAMESPACES"
"""Comma-separated namespaces that the operator serves, and whose runs the console indexes; empty: all."""
METRICS_ON_HTTP = "SYMPOZIUM_METRICS_ON_HTTP"
"""``true``: /metrics is also at the port where versions before 0.3.0 had it. Of the runs server and the console too."""

# The console's pod.
BIND = "SYMPOZIUM_BIND"
"""IP address at which the console listens; 0.0.0.0: all addresses, IPv6 included."""
SESSION_TOKENS = "SYMPOZIUM_SESSION_TOKENS"
"""Most tokens of earlier turns with which a session's turn begins, as the console estimates them."""
MANAGEMENT = "SYMPOZIUM_MANAGEMENT"
"""``false``: the console serves no management API, port 8080."""
PAGES = "SYMPOZIUM_PAGES"
"""``false``: port 8080 has no pages, the API alone."""
LINK_LOGS = "SYMPOZIUM_LINK_LOGS"
"""Address of a run's log in another system, with places such as ``{pod}``."""
LINK_TRACES = "SYMPOZIUM_LINK_TRACES"
"""Address of a run's trace in another system."""
BODY_TIMEOUT = "SYMPOZIUM_BODY_TIMEOUT"
"""Duration in which a request has to arrive with its body. Its head has 15 s in any case."""

API_AUTH_TOKEN = "API_AUTH_TOKEN"  # noqa: S105 - the name of a variable
"""A bearer token that is valid beside those in CONSOLE_TOKENS_DIR."""
OIDC_ISSUER = "SYMPOZIUM_OIDC_ISSUER"
"""Issuer URL (https) whose tokens open the management API, with the rights of RBAC."""
OIDC_AUDIENCES = "SYMPOZIUM_OIDC_AUDIENCES"
"""Comma-separated audiences, one of which a token must have."""
OIDC_CLIENT_ID = "SYMPOZIUM_OIDC_CLIENT_ID"
"""Id of the console as a client of the issuer, at which people then sign in to the pages."""
OIDC_CLIENT_SECRET = "SYMPOZIUM_OIDC_CLIENT_SECRET"  # noqa: S105 - the name of a variable
"""Secret of that client; empty: a public client."""
OIDC_SCOPES = "SYMPOZIUM_OIDC_SCOPES"
"""Scopes that the console asks for, separated by blanks; ``openid`` among them."""
OIDC_USERNAME_CLAIM = "SYMPOZIUM_OIDC_USERNAME_CLAIM"
OIDC_GROUPS_CLAIM = "SYMPOZIUM_OIDC_GROUPS_CLAIM"
OIDC_CERTIFICATE_AUTHORITY = "SYMPOZIUM_OIDC_CERTIFICATE_AUTHORITY"
"""Certificate authorities in PEM that verify the issuer's certificate."""

# OpenTelemetry's own variables, as its specification names them; the operator sets them if the installation has a collector.
OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
OTLP_ENDPOINTS = (OTLP_ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Variables of which each switches tracing on."""
OTEL_SERVICE_NAME = "OTEL_SERVICE_NAME"
OTEL_SAMPLER = "OTEL_TRACES_SAMPLER"
OTEL_SAMPLER_ARG = "OTEL_TRACES_SAMPLER_ARG"
OTEL_SAMPLER_BY_RATIO = "parentbased_traceidratio"
"""Sampler that follows the caller's decision; of requests without one, it records the share OTEL_SAMPLER_ARG."""

# The console's pod, which the chart makes.
CONSOLE_TOKENS_DIR = "/etc/sympozium/console-tokens"
"""The mounted Secret; every file whose name begins with ``token`` holds a valid bearer token."""
CONSOLE_TOKEN_PREFIX = "token"  # noqa: S105 - the name of a file
CONSOLE_KEYS_DIR = "/etc/sympozium/keys"
"""The mounted Secret of the keys that only the console uses."""
API_KEY_PEPPER = "API_KEY_PEPPER"
"""File with the pepper of API keys; every file whose name begins with it holds a pepper that verifies. A variable of this name comes
first."""
AUTH_API_KEYS = "AUTH_API_KEYS"
"""JSON object of further API keys, or the path of a file that has it."""
COOKIE_KEYS = ("COOKIE_KEY_1", "COOKIE_KEY_2")
"""Files with the keys of cookies, in Fernet's form: the first encrypts, both decrypt."""
ARCHIVE_CONTENT_RETENTION = "ARCHIVE_CONTENT_RETENTION"
"""Duration for which the archive keeps questions and answers, from the time at which they are stored."""
ARCHIVE_RETENTION = "ARCHIVE_RETENTION"
"""Duration for which the archive keeps a run's row, from its creation, unless Kubernetes still has the run."""
ARCHIVE_AUDIT_RETENTION = "ARCHIVE_AUDIT_RETENTION"
"""Duration for which the archive keeps a change of the audit."""
PRICES_FILE = "/etc/sympozium/prices/prices.yaml"
"""Entry of the ConfigMap sympozium-prices, which may be missing: prices of models that come before those of the library."""
REDIS_URL = "REDIS_URL"
REDIS_URL_FILE = "/etc/sympozium/redis/url"
"""The mounted Secret's entry, which is read where REDIS_URL is not set."""
LIMIT_REQUESTS = "SYMPOZIUM_LIMIT_REQUESTS"
"""Rate of one caller's requests to the management API, as in ``600/minute``; empty: no limit. The next two are rates too."""
LIMIT_RUNS = "SYMPOZIUM_LIMIT_RUNS"
"""Rate of the runs that one caller starts through the management API."""
LIMIT_FAILED_SIGN_INS = "SYMPOZIUM_LIMIT_FAILED_SIGN_INS"
"""Rate of requests without a valid token from one address."""
PLATFORM_ENABLED = "SYMPOZIUM_PLATFORM"
"""``true``: the console serves the agent platform API, port 8000. The names of its variables, up to SSE_KEEPALIVE_SECONDS, are fixed."""
JWT_SECRET = "JWT_SECRET"  # noqa: S105 - the name of a variable
"""File in PLATFORM_KEYS_DIR with the secret of tokens; every file whose name begins with it verifies. A variable of this name comes
first."""
PLATFORM_KEYS_DIR = "/etc/sympozium/platform"
"""The mounted Secret of the agent platform's tokens."""
JWT_ALGORITHM = "JWT_ALGORITHM"
JWT_ISSUER = "JWT_ISSUER"
JWT_AUDIENCE = "JWT_AUDIENCE"
ALLOW_TEST_TOKENS = "ALLOW_TEST_TOKENS"
"""``true``: anybody gets a token of TEST_NAMESPACE; so does ENVIRONMENT ``dev``."""
ENVIRONMENT = "ENVIRONMENT"
TEST_NAMESPACE = "SYMPOZIUM_PLATFORM_TEST_NAMESPACE"
RATE_LIMIT_DEFAULT = "RATE_LIMIT_DEFAULT"
"""Rate of one key's requests, as in ``100/minute``."""
RATE_LIMIT_RUNS = "RATE_LIMIT_RUNS"
"""Rate of the runs that one key starts."""
MAX_AGENTS = "SYMPOZIUM_PLATFORM_MAX_AGENTS"
"""Agents of a tenant at most."""
MAX_VERSIONS = "SYMPOZIUM_PLATFORM_MAX_VERSIONS"
"""Versions of an agent at most."""
MAX_TOOLS = "SYMPOZIUM_PLATFORM_MAX_TOOLS"
"""Tools of a tenant at most."""
MAX_BINDINGS = "SYMPOZIUM_PLATFORM_MAX_BINDINGS"
"""Bindings of a tenant at most."""
MAX_STREAMS = "SYMPOZIUM_PLATFORM_MAX_STREAMS"
"""Open streams of one key at one replica at most."""
PYDANTICAI_DEFAULT_MODEL = "PYDANTICAI_DEFAULT_MODEL"
"""Model of agents that are created without one, as ``provider:model``."""
TOOL_DEFAULT_TIMEOUT_MS = "TOOL_DEFAULT_TIMEOUT_MS"
TOOL_MAX_TIMEOUT_MS = "TOOL_MAX_TIMEOUT_MS"
SSE_KEEPALIVE_SECONDS = "SSE_KEEPALIVE_SECONDS"
SCRATCH_DIR = "SYMPOZIUM_SCRATCH_DIR"
"""Folder of the console for files that need not outlive its container: the index of runs where there is no archive."""

# The archive's database, of the console and of its migrations.
DATABASE_URL = "DATABASE_URL"
DATABASE_URL_FILE = "/etc/sympozium/database/url"
"""The mounted Secret's entry, which is read where DATABASE_URL is not set."""
DB_POOL_SIZE = "DB_POOL_SIZE"
DB_MAX_OVERFLOW = "DB_MAX_OVERFLOW"
DB_POOL_TIMEOUT_SECONDS = "DB_POOL_TIMEOUT_SECONDS"
DB_POOL_RECYCLE_SECONDS = "DB_POOL_RECYCLE_SECONDS"


def proxy_variable(environ: Mapping[str, str], name: str) -> str | None:
    """Return the value of one of PROXY_VARIABLES or NO_PROXY, whose lower-case form wins; None if it is empty or not set."""
    return environ.get(name) or environ.get(name.upper()) or None
