"""What the operator puts into the pods it makes, and the processes in them find there: variables, files and commands.

Nothing secret and nothing that a user wrote goes through a variable: Kubernetes expands ``$(NAME)`` in their values.
Standard library only: the agent imports this.
"""

# The agent's pod.
RUN = "SYMPOZIUM_RUN"
"""Name of the pod's AgentRun."""
IDLE_TTL = "SYMPOZIUM_IDLE_TTL"
"""In place of RUN, with INSTANCE: the pod waits for any run of its instance, for this many seconds."""
RUNS_URLS = "SYMPOZIUM_RUNS_URLS"
"""Base URLs of runs surfaces, comma-separated, the one that holds the caller's connection first."""
RUNS_TOKEN_FILE = "/var/run/secrets/sympozium.ai/runs/token"  # noqa: S105 - a path
"""The pod's projected token, audience ``names.RUNS_AUDIENCE``; the kubelet replaces it."""
PROVIDER_KEY_FILES = (
    "/var/run/secrets/sympozium.ai/provider/provider-key",
    "/var/run/secrets/sympozium.ai/provider/api-key",
)
"""Where the model's API key may be: under the provider's own name in the Secret, or as ``api-key``; the first that exists counts."""
TERMINATION_MESSAGE_FILE = "/dev/termination-log"
"""Last resort for an end record that no runs surface acknowledged: the operator reads it from the pod's status."""
TERMINATION_MESSAGE_BYTES = 4096
AGENT_COMMAND = ("python", "-I", "-m", "sympozium_agent")

# The web-proxy's pod. Its command is the SkillPack's.
INSTANCE = "SYMPOZIUM_INSTANCE"
"""Name of the SympoziumInstance that the web-proxy serves, or whose idle agent the pod is."""
NAMESPACE = "SYMPOZIUM_NAMESPACE"
"""The pod's own namespace."""
POD_NAME = "SYMPOZIUM_POD_NAME"
POD_IP = "SYMPOZIUM_POD_IP"
KEEP_ALIVE = "SYMPOZIUM_KEEP_ALIVE"
"""How long a stream is silent before it gets a comment, as a Duration. This and the next are the SkillPack's to set."""
MAX_BODY = "SYMPOZIUM_MAX_BODY"
"""Bytes of the largest body, as a number or with Ki or Mi."""
API_KEYS_DIR = "/etc/sympozium/api-keys"
"""The mounted Secret; every file whose name begins with ``api-key`` holds a valid API key."""
API_KEY_PREFIX = "api-key"

# OpenTelemetry's own, as its specification names them; the operator sets them where the installation has a collector.
OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
OTLP_ENDPOINTS = (OTLP_ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Either switches tracing on."""
OTEL_SERVICE_NAME = "OTEL_SERVICE_NAME"
OTEL_SAMPLER = "OTEL_TRACES_SAMPLER"
OTEL_SAMPLER_ARG = "OTEL_TRACES_SAMPLER_ARG"
OTEL_SAMPLER_BY_RATIO = "parentbased_traceidratio"
"""A caller's decision counts; of requests without one, this share is recorded."""

# The console's pod, which the chart makes.
CONSOLE_TOKENS_DIR = "/etc/sympozium/console-tokens"
"""The mounted Secret; every file whose name begins with ``token`` holds a valid bearer token."""
CONSOLE_TOKEN_PREFIX = "token"  # noqa: S105 - the name of a file
