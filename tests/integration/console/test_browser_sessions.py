"""Sessions of browsers: who gets one, when it ends, and which requests count with it."""

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import structlog
from cryptography.fernet import Fernet
from tests.fakes.callers import account_token, grant, namespace_object, user_of
from tests.integration.console.api_key_world import following, made
from tests.integration.console.conftest import DEMO, Console, error, serving

from sympozium_api import environment, names
from sympozium_archive.database import Database
from sympozium_console.browser_sessions import SESSION_SECONDS
from sympozium_console.pages.page_headers import HEADERS
from sympozium_console.pages.sign_in import own_path
from sympozium_console.pages.static_files import static_files

STATIC = {"tenant_id": "t", "user_id": "ada", "scopes": ["operator.read"]}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def paged(tmp_path: Path) -> AsyncIterator[Console]:
    """A console with a key of cookies, and one more way to be an installation's caller."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / environment.COOKIE_KEYS[0]).write_bytes(Fernet.generate_key())
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    (tmp_path / "static.json").write_text(json.dumps({"static-key": STATIC}))
    static = str(tmp_path / "static.json")
    async with serving(tmp_path, database, auth_token="variable", auth_api_keys=static) as console:
        console.kubernetes.put(namespace_object("default", **{names.LABEL_TENANT_ID: "t"}))
        yield console
    await database.close()


async def sign_in(console: Console, token: str = "secret", **headers: str) -> httpx2.Response:
    sent = SAME_ORIGIN | headers
    return await console.http.post("/login", data={"token": token}, headers=sent)


def browser(console: Console, answer: httpx2.Response) -> httpx2.AsyncClient:
    """A client with the cookie of an answer, and without a token."""
    [cookie] = answer.headers.get_list("set-cookie")
    return httpx2.AsyncClient(base_url=console.http.base_url, headers={"Cookie": cookie.partition(";")[0]})


async def test_a_session_is_a_caller_of_the_api(paged: Console) -> None:
    answer = await sign_in(paged)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    [cookie] = answer.headers.get_list("set-cookie")
    assert cookie.startswith("sympozium=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", f"Max-Age={SESSION_SECONDS}"} <= set(cookie.split("; "))
    async with browser(paged, answer) as http:
        me = (await http.get("/api/v1/me")).json()
        assert (me["kind"], me["keyId"]) == ("installation", "token")


async def test_by_https_the_cookie_is_bound_to_the_host(paged: Console) -> None:
    answer = await sign_in(paged, **{"Host": "console.example.com", "X-Forwarded-Proto": "https"})
    [cookie] = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-sympozium=")
    assert "Secure" in cookie
    assert answer.headers["strict-transport-security"]


async def test_by_plain_http_to_another_host_nobody_signs_in(paged: Console) -> None:
    origin = {"Host": "console.example.com", "Origin": "http://console.example.com"}
    answer = await paged.http.post("/login", data={"token": "secret"}, headers=origin)
    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers
    assert "could be read on its way" in answer.text


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "{own}"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
async def test_a_change_has_to_come_from_the_consoles_own_pages(
    paged: Console, headers: dict[str, str], *, is_taken: bool
) -> None:
    own = str(paged.http.base_url).rstrip("/")
    sent = {name: value.format(own=own) for name, value in headers.items()}
    async with browser(paged, await sign_in(paged)) as http:
        assert (await http.get(DEMO)).status_code == 200
        changed = await http.patch(DEMO, json={"spec": {"title": "x"}}, headers=sent)
    if is_taken:
        assert changed.status_code == 200, changed.text
    else:
        assert error(changed, 403)["reason"] == "CrossSite"
    assert ("title" in paged.instance()["spec"]) is is_taken
    assert (await paged.http.post("/login", data={"token": "secret"}, headers=sent)).status_code == (
        303 if is_taken else 403
    )


async def test_a_session_ends_with_its_token_whatever_comes_under_its_name(paged: Console) -> None:
    async with browser(paged, await sign_in(paged)) as http:
        paged.clock.advance(SESSION_SECONDS / 2)
        assert (await http.get(DEMO)).status_code == 200
        (paged.tokens / "token").write_text("another\n")
        paged.clock.advance(3)
        assert (await http.get(DEMO)).status_code == 401
        shown = await http.get("/instances?phase=Error")
        assert shown.headers["location"] == "/login?next=%2Finstances%3Fphase%3DError"


async def test_a_session_ends_after_eight_hours(paged: Console) -> None:
    async with browser(paged, await sign_in(paged, "variable")) as http:
        paged.clock.advance(SESSION_SECONDS - 60)
        assert (await http.get(DEMO)).status_code == 200
        paged.clock.advance(120)
        assert (await http.get(DEMO)).status_code == 401


async def test_a_service_accounts_session_has_its_rights(paged: Console) -> None:
    token = account_token(paged.issuer, "default", "reader")
    answer = await sign_in(paged, token)
    async with browser(paged, answer) as http:
        assert (await http.get(DEMO)).status_code == 403
        grant(paged.kubernetes, user_of("default", "reader"), "default", verbs=("get",))
        paged.clock.advance(11)
        assert (await http.get(DEMO)).status_code == 200
        assert (await http.delete(DEMO, headers=SAME_ORIGIN)).status_code == 403


async def test_an_api_keys_session_ends_when_the_key_is_revoked(paged: Console) -> None:
    async with following(paged):
        key = await made(paged)
        async with browser(paged, await sign_in(paged, key["key"])) as http:
            me = (await http.get("/api/v1/me")).json()
            assert (me["kind"], me["user"], me["onlyNamespace"]) == ("key", "ada", "default")
            revoked = await paged.request("DELETE", f"/api/v1/api-keys/{key['id']}?namespace=default")
            assert revoked.status_code == 204
            assert (await http.get("/api/v1/me")).status_code == 401


async def test_a_static_keys_session_ends_when_another_key_has_its_entry(paged: Console, tmp_path: Path) -> None:
    async with browser(paged, await sign_in(paged, "static-key")) as http:
        assert (await http.get("/api/v1/me")).json()["user"] == "ada"
        (tmp_path / "static.json").write_text(json.dumps({"another-key": STATIC}))
        paged.clock.advance(3)
        assert (await http.get("/api/v1/me")).status_code == 401


async def test_a_cookie_of_another_installation_or_a_changed_one_is_none(paged: Console) -> None:
    [cookie] = (await sign_in(paged)).headers.get_list("set-cookie")
    value = cookie.partition(";")[0]
    (paged.context.settings.keys / environment.COOKIE_KEYS[1]).write_bytes(Fernet.generate_key())
    paged.clock.advance(3)
    url = paged.http.base_url
    async with httpx2.AsyncClient(base_url=url) as http:
        assert (await http.get(DEMO, headers={"Cookie": value})).status_code == 200
        assert (await http.get(DEMO, headers={"Cookie": value[:-4] + "AAAA"})).status_code == 401
        first = paged.context.settings.keys / environment.COOKIE_KEYS[0]
        first.write_bytes(Fernet.generate_key())
        paged.clock.advance(3)
        assert (await http.get(DEMO, headers={"Cookie": value})).status_code == 401


async def test_the_cookie_of_an_api_key_has_its_namespace_and_id_alone(paged: Console) -> None:
    async with following(paged):
        key = await made(paged)
        [cookie] = (await sign_in(paged, key["key"])).headers.get_list("set-cookie")
    session = paged.context.callers.sessions.read(cookie.partition("=")[2].partition(";")[0])
    assert session is not None
    assert (session.reference.kind, session.reference.namespace, session.reference.fingerprint) == (
        "key",
        "default",
        "",
    )


async def test_an_address_has_ten_wrong_credentials_a_minute(paged: Console) -> None:
    answers = [(await sign_in(paged, "wrong")).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]
    assert (await sign_in(paged)).status_code == 303


async def test_behind_a_gateway_the_address_that_it_has_seen_is_the_one_that_counts(paged: Console) -> None:
    def sent(last: str) -> dict[str, str]:
        return {"X-Forwarded-For": f"{uuid.uuid4().int % 256}.1.1.1, {last}"}  # the caller chooses the first

    answers = [(await sign_in(paged, "wrong", **sent("198.51.100.7"))).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]
    assert (await sign_in(paged, "wrong", **sent("198.51.100.8"))).status_code == 401


async def test_credentials_that_cannot_be_are_refused(paged: Console) -> None:
    for token in ("", " ", "a.b.c", "sym_" + "0" * 63, "ключ", "\x00", "x" * 30_000):
        assert (await sign_in(paged, token)).status_code == 401


async def test_every_answer_says_what_a_browser_may_do(paged: Console) -> None:
    for path in ("/login", "/instances", DEMO, "/openapi.json", "/nowhere", "/healthz"):
        answer = await paged.http.get(path, headers={"Accept": "text/html"})
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path


async def test_without_pages_there_is_the_api_alone(tmp_path: Path) -> None:
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    async with serving(tmp_path, database, pages=False) as console:
        assert error(await console.http.get("/instances", headers={"Accept": "text/html"}), 404)
        assert (await console.http.get(DEMO)).status_code == 200
    await database.close()


@pytest.mark.parametrize(
    ("wanted", "own"),
    [
        ("/runs?phase=Failed", "/runs?phase=Failed"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/login?next=/", "/"),
        ("", "/"),
    ],
)
def test_the_way_back_stays_at_this_console(wanted: str, own: str) -> None:
    assert own_path(wanted) == own


async def test_static_files_have_no_line_in_the_log_unless_they_are_missing(paged: Console) -> None:
    with structlog.testing.capture_logs() as lines:
        for path in (static_files().address("console.css"), "/static/old/nothing.css", "/login"):
            await paged.http.get(path)
    logged = [(line["route"], line["status"]) for line in lines if line["event"] == "request"]
    assert logged == [("/static/{digest}/{path:path}", 404), ("/login", 200)]
