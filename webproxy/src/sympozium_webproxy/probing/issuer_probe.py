"""The check of the issuer of access tokens: its keys are fetched as for a token."""

import json

import structlog

from sympozium_api.probes import Probe, issuer_target
from sympozium_api.web_endpoint import OAuth
from sympozium_http import issuer_documents, issuer_keys
from sympozium_http.key_set import FetchFailed
from sympozium_webproxy.network_failure import NetworkFailure, failure_of

log = structlog.get_logger()


def target_of(oauth: OAuth) -> str:
    """Return the digest of what ``probe`` checks."""
    return issuer_target(oauth.issuer, oauth.jwks_uri, oauth.certificate_authority)


async def probe(oauth: OAuth) -> Probe:
    """Fetch the issuer's keys, and return what that shows."""
    host = oauth.issuer.partition("://")[2].partition("/")[0]  # not parsed, because a host may be no valid one
    try:
        keys = await issuer_keys.fetch_keys(oauth)
    except FetchFailed as failed:
        log.warning("issuer keys could not be fetched", issuer=oauth.issuer, reason=str(failed))
        failure = _failure(failed)
        text = f"cannot fetch the keys of the issuer {host}: {failure.words} (spec.webEndpoint.oauth)"
        return _result(oauth, failure.reason, text)
    if not keys:
        return _result(oauth, "NoKeys", f"the issuer {host} has no key that signs tokens")
    return _result(oauth, "KeysFetched", f"the issuer {host} has shown its keys", reachable=True)


def _result(oauth: OAuth, reason: str, text: str, *, reachable: bool = False) -> Probe:
    return Probe(target=target_of(oauth), reachable=reachable, reason=reason, message=text[:1024])


def _failure(failed: FetchFailed) -> NetworkFailure:
    match failed.__cause__:
        case issuer_documents.Unusable() | json.JSONDecodeError() | UnicodeDecodeError() | RecursionError():
            words = "its metadata or key set cannot be used; the web-proxy's log has the reason"
            return NetworkFailure("InvalidAnswer", words)
        case cause:
            return failure_of(cause or failed)
