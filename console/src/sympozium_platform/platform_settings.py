"""Settings of the agent platform API, read once. Its variables have the names that its clients' operators know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sympozium_api import environment
from sympozium_api.rate_limit import CallRate, parse_rate
from sympozium_api.settings_parser import SettingsParser, boolean, one_of, whole_number
from sympozium_domain.callers.access_tokens import LEAST_BYTES, TokenSettings
from sympozium_domain.tenant_bounds import TenantBounds

_LONGEST_CALL = 60_000
_MOST_OBJECTS = 100_000
_MOST_STREAMS = 1000
_DEFAULT_RATE, _RUNS_RATE = CallRate(100, 60), CallRate(20, 60)


@dataclass(frozen=True)
class PlatformSettings:
    """The settings of one console's agent platform API."""

    tokens: TokenSettings = field(default_factory=TokenSettings)
    keys: Path = Path(environment.PLATFORM_KEYS_DIR)
    """Folder with the secrets of tokens."""
    jwt_secret: str = field(default="", repr=False)
    """A secret of tokens that comes before those in files; empty: none."""
    test_tokens: bool = False
    """True: anybody gets a token for tests."""
    test_namespace: str = "default"
    """Namespace of the tenant of tokens for tests."""
    default_rate: CallRate = _DEFAULT_RATE
    """Requests of one key, without those that start runs."""
    runs_rate: CallRate = _RUNS_RATE
    """Runs that one key starts."""
    bounds: TenantBounds = field(default_factory=TenantBounds)
    most_streams: int = 50
    """Open streams of one key at one replica at most."""
    default_model: str = "openai:gpt-4o-mini"
    """Model, as ``provider:model``, of agents that are created without one."""
    tool_timeout_ms: int = 15_000
    """Time of a tool's call where a binding says none."""
    tool_max_timeout_ms: int = _LONGEST_CALL
    keep_alive_seconds: int = 15
    """Seconds between a stream's keep-alive comments."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "PlatformSettings":
        """Return the settings of this process. Raises InvalidSetting."""
        parser = SettingsParser(environ)
        read = parser.read
        longest = read(environment.TOOL_MAX_TIMEOUT_MS, str(_LONGEST_CALL), whole_number(1, _LONGEST_CALL))
        return cls(
            tokens=TokenSettings(
                algorithm=read(environment.JWT_ALGORITHM, TokenSettings.algorithm, one_of(*LEAST_BYTES)),
                issuer=read(environment.JWT_ISSUER, TokenSettings.issuer, str),
                audience=read(environment.JWT_AUDIENCE, TokenSettings.audience, str),
            ),
            jwt_secret=read(environment.JWT_SECRET, "", str.strip),
            test_tokens=read(environment.ALLOW_TEST_TOKENS, "false", boolean)
            or read(environment.ENVIRONMENT, "", str) == "dev",
            test_namespace=read(environment.TEST_NAMESPACE, cls.test_namespace, str),
            default_rate=read(environment.RATE_LIMIT_DEFAULT, "100/minute", parse_rate),
            runs_rate=read(environment.RATE_LIMIT_RUNS, "20/minute", parse_rate),
            bounds=TenantBounds(
                agents=read(environment.MAX_AGENTS, str(TenantBounds.agents), whole_number(1, _MOST_OBJECTS)),
                versions=read(environment.MAX_VERSIONS, str(TenantBounds.versions), whole_number(1, _MOST_OBJECTS)),
                tools=read(environment.MAX_TOOLS, str(TenantBounds.tools), whole_number(1, _MOST_OBJECTS)),
                bindings=read(environment.MAX_BINDINGS, str(TenantBounds.bindings), whole_number(1, _MOST_OBJECTS)),
            ),
            most_streams=read(environment.MAX_STREAMS, str(cls.most_streams), whole_number(1, _MOST_STREAMS)),
            default_model=read(environment.PYDANTICAI_DEFAULT_MODEL, cls.default_model, _model),
            tool_timeout_ms=read(
                environment.TOOL_DEFAULT_TIMEOUT_MS, str(min(cls.tool_timeout_ms, longest)), whole_number(1, longest)
            ),
            tool_max_timeout_ms=longest,
            keep_alive_seconds=read(environment.SSE_KEEPALIVE_SECONDS, "15", whole_number(1, 3600)),
        )


def _model(text: str) -> str:
    provider, colon, model = text.partition(":")
    if not (provider and colon and model):
        raise ValueError("is not a provider and a model, such as openai:gpt-4o-mini")
    return text
