"""ToolBinding: the grant of one Tool to one agent, with the limits of its calls."""

from typing import Annotated, Literal

from pydantic import Field

from sympozium_api.base import ApiModel, Conditions, Name, Resource, in_progress, matching

HostName = Annotated[
    str,
    matching(
        "^([a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?[.])*[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?$",
        "write an exact host name in lower case, without wildcard, port and dot at its end, such as api.example.com",
        max_length=253,
    ),
]
"""Host name as URLs have it. Names in other scripts are written in their ASCII form (xn--)."""


class ToolBindingSpec(ApiModel):
    """Content of a ToolBinding."""

    agent_ref: Annotated[str, Field(min_length=1, max_length=40)]
    """SympoziumInstance in the same namespace whose agent may call the tool."""
    tool_ref: Name
    """Tool in the same namespace."""
    permission_scope: Literal["read", "write"] = "read"
    """write: a run that has a ``caller`` may call the tool only if the caller has the scope ``tools:write``."""
    timeout_ms: Annotated[int, Field(ge=1, le=600_000)] = 15_000
    """Milliseconds that a call may take, retries included. The Tool's ``timeoutSeconds`` may lower it."""
    rate_limit: (
        Annotated[
            str,
            matching(
                "^[1-9][0-9]{0,5}/(second|minute|hour|day)$",
                "write a number per second, minute, hour or day, such as 10/minute",
                max_length=16,
            ),
        ]
        | None
    ) = None
    """Most calls in any window of this length, over all runs of the agent. Default: no limit."""
    allowed_domains: Annotated[list[HostName], Field(max_length=64)] = []
    """Exact names of the hosts that a call may reach, redirects included. Empty: none."""
    secret_key: (
        Annotated[
            str,
            matching(
                "^[A-Za-z0-9_.-]+$",
                "write the name of an entry of a Secret, such as WEATHER_KEY",
                max_length=246,
            ),
        ]
        | None
    ) = None
    """With ``auth: apiKey``: the key is the entry of this name, or ``SECRET_`` and this name, of the namespace's Secret ``tool-secrets``,
    instead of the one in the Tool's Secret. With ``auth: oauth2``: the entry is a JSON object with ``token_url``, ``client_id``,
    ``client_secret`` and, if needed, ``scope``."""


IN_FORCE = "InForce"
"""Type of the condition of a Tool or ToolBinding that holds."""
GATHERING = "Gathering"
"""Reason of a granted ToolBinding that is not in force yet: the operator has not written the agent's document with the tool."""


class ToolBindingStatus(ApiModel):
    """Observed state of a ToolBinding, written by the operator."""

    function: Annotated[str | None, Field(max_length=64)] = None
    """Name under which the agent's model calls the tool."""
    conditions: Conditions = []
    """InForce: the agent's next run is offered the tool."""

    @property
    def is_granted(self) -> bool:
        """True if the agent may call the tool: its next run is offered it, or the operator is adding it to what runs are offered."""
        found = next((condition for condition in self.conditions if condition.type == IN_FORCE), None)
        return found is not None and (found.status == "True" or found.reason == GATHERING)


class ToolBinding(Resource):
    """The grant of one Tool to one agent, with the limits of its calls."""

    spec: ToolBindingSpec
    status: Annotated[ToolBindingStatus, in_progress("NotObserved", "the operator has not seen it yet")] = (
        ToolBindingStatus()
    )
