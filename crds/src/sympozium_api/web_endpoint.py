"""HTTP API of an instance: its limits, replicas and callers."""

from typing import Annotated

from pydantic import Field

from sympozium_api.base import NO_SPACE, ApiModel, Name, matching, rule, rules

MAX_RATE = 1_000_000
"""Largest rate and burst of a rate limit."""


class RateLimit(ApiModel):
    """A token bucket per API key."""

    requests_per_minute: Annotated[int, Field(ge=1, le=MAX_RATE)] = 60
    """Requests per minute that an API key may make in the long run."""
    burst_size: Annotated[int, Field(ge=1, le=MAX_RATE)] = 10
    """Requests that an API key may make at once."""
    reads_per_minute: Annotated[int | None, Field(ge=1, le=MAX_RATE)] = None
    """Requests per minute that make no run, e.g. to get a response or to list models. Default: ten times ``requestsPerMinute``."""

    @property
    def reads(self) -> "RateLimit":
        """The bucket of requests that make no run. Its burst is ten times ``burstSize``."""
        per_minute = self.reads_per_minute or min(10 * self.requests_per_minute, MAX_RATE)
        return RateLimit(requests_per_minute=per_minute, burst_size=min(10 * self.burst_size, MAX_RATE))


class Autoscaling(ApiModel):
    """A HorizontalPodAutoscaler of the web-proxy. The cluster needs a metrics server."""

    min_replicas: Annotated[int | None, Field(ge=1, le=100)] = None
    """Smallest number of replicas. Default: ``replicas``."""
    max_replicas: Annotated[int, Field(ge=1, le=100)]
    """Largest number of replicas."""
    target_cpu_utilization_percentage: Annotated[int, Field(alias="targetCPUUtilizationPercentage", ge=1, le=1000)] = 80
    """Target average CPU usage of the web-proxies, in percent of their CPU request."""


class OAuth(ApiModel):
    """An authorization server whose access tokens (JWTs) are valid beside API keys."""

    issuer: Annotated[
        str,
        matching(
            rf"^https://[^/?#@{NO_SPACE}]+(/[^?#{NO_SPACE}]*)?$",
            "write an https:// URL without query and blanks, such as https://login.example.com/realms/house",
            max_length=2048,
        ),
    ]
    """Issuer URL of the authorization server, exactly as in the claim ``iss`` of its tokens."""
    audiences: Annotated[list[Annotated[str, Field(min_length=1, max_length=2048)]], Field(min_length=1, max_length=16)]
    """Names of this endpoint at the authorization server. The claim ``aud`` of a token must contain one of them."""
    required_scopes: Annotated[
        list[
            Annotated[
                str,
                matching(r"^[!#-\[\]-~]+$", "write one scope, without blanks, quotes and backslashes", max_length=256),
            ]
        ],
        Field(max_length=32),
    ] = []
    """Scopes that a token must have in its claim ``scope`` or ``scp``. All are required."""
    jwks_uri: Annotated[
        Annotated[
            str,
            matching(
                rf"^https://[^/?#@{NO_SPACE}]+(/[^#{NO_SPACE}]*)?$",
                "write an https:// URL without blanks, such as https://login.example.com/keys",
                max_length=2048,
            ),
        ]
        | None,
        Field(alias="jwksURI"),
    ] = None
    """URL of the issuer's public keys. Default: the URL in the issuer's metadata (OpenID Connect Discovery, or RFC 8414)."""
    certificate_authority: Annotated[str | None, Field(min_length=1, max_length=65536)] = None
    """Certificate authorities in PEM that verify the issuer's certificate. Default: the public authorities."""


class WebEndpoint(ApiModel):
    """The instance's HTTP API. The skill ``web-endpoint`` is equivalent, and its params override these fields."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!has(self.autoscaling) || (has(self.autoscaling.minReplicas) ? self.autoscaling.minReplicas : self.replicas)"
                " <= self.autoscaling.maxReplicas",
                "autoscaling.maxReplicas must be at least autoscaling.minReplicas or, if that is not set, at least replicas",
            )
        )
    }

    enabled: bool = False
    """True switches the HTTP API on."""
    hostname: Annotated[str | None, Field(max_length=253)] = None
    """Host name of the route. Default: ``<instance>.<baseDomain>``."""
    auth_secret_ref: Name | None = None
    """Secret in the same namespace. Each of its keys that begins with ``api-key`` holds a valid API key. Default: a generated Secret."""
    rate_limit: RateLimit = RateLimit()
    """Rate limit of each API key."""
    max_body_bytes: Annotated[int | None, Field(ge=1024, le=8 * 1024 * 1024)] = None
    """Most bytes of a request's body. Beyond them it gets 413. Default, and the most that counts: the chart's ``webProxy.maxBody``."""
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    """Number of replicas of the web-proxy."""
    autoscaling: Autoscaling | None = None
    """Scales the web-proxy with its load. Default: ``replicas`` is the number of replicas."""
    oauth: OAuth | None = None
    """Authorization server whose access tokens are valid beside API keys. Default: API keys only."""
    allowed_origins: Annotated[
        list[
            Annotated[
                str,
                matching(
                    rf"^[a-z][a-z0-9+.-]*://[^/?#A-Z{NO_SPACE}]+$",
                    "write scheme and host in lower case, without a path, such as https://chat.example.com",
                    max_length=300,
                ),
            ]
        ],
        Field(max_length=32),
    ] = []
    """Origins of web pages that may call this endpoint from a browser, e.g. ``https://chat.example.com``, and of apps whose window is a
    browser, e.g. ``app://obsidian.md``, ``tauri://localhost`` or, for all origins of a scheme other than http and https,
    ``vscode-webview://*``. Over MCP, the web-proxy refuses requests with any other origin except the endpoint's own. Requests without
    an origin pass, because programs send none."""
    allowed_hosts: Annotated[
        list[
            Annotated[
                str,
                matching(
                    rf"^[^/?#A-Z{NO_SPACE}]+$",
                    "write a host in lower case, with its port if it has one, such as 127.0.0.1:8080",
                    max_length=300,
                ),
            ]
        ],
        Field(max_length=32),
    ] = []
    """Valid values of the header ``Host`` of requests over MCP, with the port if there is one, e.g. ``127.0.0.1:8080``. The host of
    ``status.webEndpoint.url`` is always valid. Default: any value, because a Service, a port-forward and a gateway have different names."""
