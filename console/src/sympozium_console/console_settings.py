"""Settings of the console, read once from the environment that the chart gives its pod."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from sympozium_api import environment
from sympozium_api.rate_limit import CallRate, parse_rate
from sympozium_api.redis_setting import read_redis_url
from sympozium_api.retention import Retention
from sympozium_api.retention_settings import read_retention
from sympozium_api.settings_parser import (
    InvalidSetting,
    SettingsParser,
    boolean,
    duration,
    duration_between,
    http_url,
    namespaces,
    optional,
    whole_number,
)
from sympozium_api.web_endpoint import OAuth
from sympozium_archive.database_settings import DatabaseSettings
from sympozium_domain.callers.issuer_users import IssuerSettings
from sympozium_domain.instance_runs import SESSION_TOKENS
from sympozium_http import forwarded
from sympozium_http.authorization_code import OidcClient
from sympozium_http.listening import bind_address
from sympozium_http.request_limits import RECEIVE_SECONDS
from sympozium_platform.platform_settings import PlatformSettings

_RETENTIONS = duration_between("1h", "36500d")


@dataclass(frozen=True)
class ArchiveSettings:
    """Settings of a console that archives runs."""

    database: DatabaseSettings
    pruning: Retention
    """Ended runs that stay in Kubernetes after they are archived."""
    content_retention_seconds: int = 30 * 86_400
    """Seconds for which questions and answers are kept, from the time at which they are stored."""
    retention_seconds: int = 400 * 86_400
    """Seconds for which a run's row is kept, from its creation, unless Kubernetes still has the run."""
    audit_retention_seconds: int = 400 * 86_400
    """Seconds for which a change of the audit is kept."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "ArchiveSettings":
        """Return the settings of this process. Raises InvalidSetting."""
        read = SettingsParser(environ).read
        return cls(
            database=DatabaseSettings.from_environment(environ),
            pruning=read_retention(SettingsParser(environ)),
            content_retention_seconds=read(environment.ARCHIVE_CONTENT_RETENTION, "30d", _RETENTIONS),
            retention_seconds=read(environment.ARCHIVE_RETENTION, "400d", _RETENTIONS),
            audit_retention_seconds=read(environment.ARCHIVE_AUDIT_RETENTION, "400d", _RETENTIONS),
        )


@dataclass(frozen=True)
class CallerRates:
    """Limits of the callers of the management API. None: no limit."""

    requests: CallRate | None = None
    """Requests of one caller."""
    runs: CallRate | None = None
    """Runs that one caller starts."""
    failed_sign_ins: CallRate | None = None
    """Requests without a valid token from one address."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "CallerRates":
        """Return the limits of this process. Raises InvalidSetting."""
        names = (environment.LIMIT_REQUESTS, environment.LIMIT_RUNS, environment.LIMIT_FAILED_SIGN_INS)
        return cls(*(SettingsParser(environ).read(name, "", _rate) for name in names))


@dataclass(frozen=True)
class ConsoleSettings:
    """The settings of one console."""

    namespace: str
    """The console's own namespace, which holds the built-in SkillPacks."""
    pod_ip: str = ""
    """IP address at which agent pods reach this replica; empty: they do not, and port 8081 is not served."""
    bind: str = "127.0.0.1"
    """IP address at which requests arrive; 0.0.0.0: all addresses of the host."""
    management: bool = True
    """True if the console serves the management API at port 8080."""
    pages: bool = True
    """True if port 8080 has the pages, too."""
    body_seconds: float = RECEIVE_SECONDS
    """Seconds from a request's first byte to the last byte of its body."""
    watch_namespaces: tuple[str, ...] = ()
    """Namespaces whose runs are indexed; empty: all."""
    key_seconds: int = 24 * 3600
    """Seconds for which an Idempotency-Key stands, from its run's creation."""
    session_tokens: int = SESSION_TOKENS
    """Bound of the history of a session's turn, in tokens as they are estimated."""
    tokens: Path = Path(environment.CONSOLE_TOKENS_DIR)
    keys: Path = Path(environment.CONSOLE_KEYS_DIR)
    """Folder with the peppers of API keys."""
    pepper: str = field(default="", repr=False)
    """A pepper that comes before those in files; empty: none."""
    auth_api_keys: str = field(default="", repr=False)
    """Further API keys as JSON, or the path of a file that has them; empty: none."""
    auth_token: str = field(default="", repr=False)
    """A further token of the installation; empty: none."""
    issuer: IssuerSettings | None = None
    """Issuer of users' tokens; None: there is none."""
    oidc_client: OidcClient | None = None
    """The console as a client of the issuer, at which people sign in; None: they do not."""
    max_body_bytes: int = 1024 * 1024
    """The largest body accepted: the API server stores no larger object."""
    keep_alive_seconds: float = 15.0
    """Seconds between a stream's keep-alive comments, well below the 60 s after which proxies cut idle connections."""
    rates: CallerRates = CallerRates()
    trusted_proxies: tuple[forwarded.Network, ...] = forwarded.networks(forwarded.PRIVATE)
    """Networks of proxies in front, whose X-Forwarded-For tells the address of a caller."""
    redis_url: str = ""
    """URL of the Valkey or Redis in which replicas count requests together; empty: each counts for itself."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Templates of addresses of a run's log and trace in other systems, by title."""
    metrics_on_http: bool = False
    """True if port 8080 has /metrics too, as before 0.3.0."""
    grace_seconds: int = 20
    """Seconds that open requests may still take after SIGTERM. The pod's own grace period is longer."""
    platform: PlatformSettings | None = None
    """Settings of the agent platform API; None: the console does not serve it."""
    archive: ArchiveSettings | None = None
    """Settings of the archive; None: the database is an index of what Kubernetes has, in ``scratch``."""
    scratch: Path = Path("/tmp")  # noqa: S108 - the container's own folder
    """Folder for files that need not outlive the container."""


def from_environment(environ: Mapping[str, str]) -> ConsoleSettings:
    """Return the settings of this process. Raises InvalidSetting."""
    parser = SettingsParser(environ)
    archives = parser.read(environment.ARCHIVE_ENABLED, "false", boolean)
    return ConsoleSettings(
        namespace=parser.required(environment.NAMESPACE),
        pod_ip=environ.get(environment.POD_IP, ""),
        grace_seconds=parser.read(environment.SHUTDOWN_GRACE, "20s", duration),
        bind=parser.read(environment.BIND, ConsoleSettings.bind, bind_address),
        management=parser.read(environment.MANAGEMENT, "true", boolean),
        pages=parser.read(environment.PAGES, "true", boolean),
        body_seconds=parser.read(environment.BODY_TIMEOUT, f"{RECEIVE_SECONDS:g}s", duration_between("1s", "1h")),
        watch_namespaces=parser.read(environment.WATCH_NAMESPACES, "", namespaces),
        rates=CallerRates.from_environment(environ),
        trusted_proxies=parser.read(environment.TRUSTED_PROXIES, forwarded.PRIVATE, forwarded.networks),
        redis_url=read_redis_url(environ, environment.REDIS_URL, environment.REDIS_URL_FILE),
        key_seconds=parser.read(environment.KEY_RETENTION, "24h", duration),
        session_tokens=parser.read(environment.SESSION_TOKENS, str(SESSION_TOKENS), whole_number(100, 10_000_000)),
        pepper=parser.read(environment.API_KEY_PEPPER, "", str.strip),
        auth_api_keys=parser.read(environment.AUTH_API_KEYS, "", str.strip),
        auth_token=parser.read(environment.API_AUTH_TOKEN, "", str.strip),
        issuer=_issuer(environ),
        oidc_client=_oidc_client(environ),
        links={
            title: template
            for title, name in (("Logs", environment.LINK_LOGS), ("Trace", environment.LINK_TRACES))
            if (template := parser.read(name, "", optional(http_url)))
        },
        metrics_on_http=parser.read(environment.METRICS_ON_HTTP, "false", boolean),
        platform=PlatformSettings.from_environment(environ)
        if parser.read(environment.PLATFORM_ENABLED, "false", boolean)
        else None,
        archive=ArchiveSettings.from_environment(environ) if archives else None,
        scratch=parser.read(environment.SCRATCH_DIR, "/tmp", Path),  # noqa: S108 - the container's own folder
    )


def _rate(text: str) -> CallRate | None:
    return parse_rate(text) if text else None


def _issuer(environ: Mapping[str, str]) -> IssuerSettings | None:
    """Return the settings of the issuer, if there is one. Raises InvalidSetting."""
    issuer = environ.get(environment.OIDC_ISSUER)
    if not issuer:
        return None
    audiences = [part.strip() for part in environ.get(environment.OIDC_AUDIENCES, "").split(",") if part.strip()]
    if client := environ.get(environment.OIDC_CLIENT_ID):
        audiences = audiences or [client]
    try:
        oauth = OAuth(
            issuer=issuer,
            audiences=audiences,
            certificate_authority=environ.get(environment.OIDC_CERTIFICATE_AUTHORITY) or None,
        )
    except ValidationError as error:
        [first, *_] = error.errors()
        field_name = str(first["loc"][0]) if first["loc"] else "issuer"
        raise InvalidSetting(f"SYMPOZIUM_OIDC_*: {field_name}: {first['msg']}") from error
    return IssuerSettings(
        oauth,
        username_claim=environ.get(environment.OIDC_USERNAME_CLAIM) or IssuerSettings.username_claim,
        groups_claim=environ.get(environment.OIDC_GROUPS_CLAIM) or IssuerSettings.groups_claim,
    )


def _oidc_client(environ: Mapping[str, str]) -> OidcClient | None:
    """Return the console as a client of the issuer, if it is one. Raises InvalidSetting."""
    client = environ.get(environment.OIDC_CLIENT_ID)
    if not client:
        return None
    if not environ.get(environment.OIDC_ISSUER):
        raise InvalidSetting(
            f"{environment.OIDC_CLIENT_ID}: needs {environment.OIDC_ISSUER}, where the client is known"
        )
    scopes = tuple(environ.get(environment.OIDC_SCOPES, "").split()) or OidcClient.scopes
    if "openid" not in scopes:
        raise InvalidSetting(f"{environment.OIDC_SCOPES}: openid has to be among the scopes")
    return OidcClient(client, environ.get(environment.OIDC_CLIENT_SECRET, "").strip(), scopes)
