"""The parts of a console that know its callers: their credentials, their rights, and API keys."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_archive.database import Database
from sympozium_archive.key_uses import KeyUses
from sympozium_console.browser_sessions import BrowserSessions, CookieKeys
from sympozium_console.console_settings import ConsoleSettings
from sympozium_console.key_use_recorder import KeyUseRecorder
from sympozium_domain.callers.authenticator import Authenticator, KeyCheck, ReferenceCheck
from sympozium_domain.callers.issuer_users import IssuerUsers
from sympozium_domain.callers.key_check import ApiKeyCheck
from sympozium_domain.callers.key_issuing import KeyIssuing
from sympozium_domain.callers.key_store import KeyStore
from sympozium_domain.callers.namespaces import Namespaces
from sympozium_domain.callers.peppers import Peppers
from sympozium_domain.callers.rights import Rights
from sympozium_domain.callers.service_accounts import ServiceAccountTokens
from sympozium_domain.callers.static_keys import StaticKeys
from sympozium_http.authorization_code import AuthorizationCodes
from sympozium_http.bearer_keys import BearerKeys


@dataclass(frozen=True)
class ConsoleCallers:
    """Callers of one console: their authentication and their rights."""

    authenticator: Authenticator
    rights: Rights
    keys: KeyStore
    issuing: KeyIssuing
    uses: KeyUses | None
    """Last uses of API keys; None: the console has no archive."""
    sessions: BrowserSessions
    codes: AuthorizationCodes | None
    """Sign-in at the issuer; None: there is none."""
    namespaces: Namespaces
    static_keys: StaticKeys | None
    """Keys of the variable AUTH_API_KEYS; None: there are none."""
    on_key_use: Callable[[str], None]
    """Function that is called with the UID of each APIKey that is used."""
    loops: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]
    """Loops beside the server, by name."""


def assemble_callers(
    client: Client, settings: ConsoleSettings, clock: Clock, database: Database, tokens: BearerKeys
) -> ConsoleCallers:
    """Return the parts of a console. ``tokens`` are those of the installation."""
    served = Namespaces(client, clock, settings.watch_namespaces)
    keys = KeyStore(settings.watch_namespaces or (None,))
    peppers = Peppers(settings.keys, variable=settings.pepper, clock=clock.monotonic)
    loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {"keys": partial(keys.follow, client)}
    uses = KeyUses(database) if settings.archive is not None else None
    recorder = KeyUseRecorder(uses, clock) if uses is not None else None
    if recorder is not None:
        loops["key uses"] = recorder.run
    on_key_use = recorder.used if recorder else lambda _: None
    check = ApiKeyCheck(keys, peppers, clock, on_key_use)
    checks: tuple[KeyCheck, ...] = (check.caller,)
    references: dict[str, ReferenceCheck] = {"key": check.referred}
    static_keys = StaticKeys(settings.auth_api_keys, served, clock) if settings.auth_api_keys else None
    if static_keys is not None:
        checks, loops["static keys"] = (static_keys.caller, *checks), static_keys.run
        references["static"] = static_keys.referred
    authenticator = Authenticator(
        tokens=tokens,
        service_accounts=ServiceAccountTokens(client, clock),
        issuer_users=IssuerUsers(settings.issuer, clock) if settings.issuer else None,
        auth_token=settings.auth_token,
        key_checks=checks,
        reference_checks=references,
    )
    sessions = BrowserSessions(CookieKeys(settings.keys, clock.monotonic), clock)
    issuing = KeyIssuing(client, keys, peppers, clock)
    return ConsoleCallers(
        authenticator=authenticator,
        rights=Rights(client, clock, served),
        keys=keys,
        issuing=issuing,
        uses=uses,
        sessions=sessions,
        namespaces=served,
        static_keys=static_keys,
        on_key_use=on_key_use,
        codes=_codes(settings, clock),
        loops=loops,
    )


def _codes(settings: ConsoleSettings, clock: Clock) -> AuthorizationCodes | None:
    if settings.issuer is None or settings.oidc_client is None:
        return None
    return AuthorizationCodes(settings.issuer.oauth, settings.oidc_client, clock=clock.monotonic)
