"""300 tricks of server-side request forgery: none reaches an address, for a tool's webhook, by a redirect, or by fetch_url."""

import ipaddress
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from starlette.responses import RedirectResponse, Response
from tests.fakes.webhook import PUBLIC, Received, World, world
from tests.unit.egress.ssrf_tricks import TRICKS

from sympozium_egress.outgoing import fetch_url
from sympozium_egress.outgoing.http_client import HttpRequest, Unreachable
from sympozium_egress.policy.addresses import AddressPolicy
from sympozium_egress.policy.call_policy import CallRefused

API_SERVER = ipaddress.ip_address("10.96.0.1")
POLICY = AddressPolicy(forbidden=frozenset({API_SERVER}))


@pytest.fixture
async def outside() -> AsyncIterator[World]:
    async with world() as found:
        yield found


def arrange(outside: World, url: str, addresses: list[str]) -> None:
    outside.addresses.clear()
    outside.addresses["start.example.com"] = [PUBLIC]
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return
    if addresses:
        outside.addresses[host] = addresses
        outside.addresses.setdefault("public.example.com", [PUBLIC])


async def is_refused(outside: World, url: str) -> bool:
    try:
        await fetch_url.fetch(outside.client(), {"url": url}, POLICY, None)
    except (CallRefused, Unreachable):
        return True
    return False


def test_there_are_300_tricks() -> None:
    assert len(TRICKS) >= 300


async def test_fetch_url_reaches_none(outside: World) -> None:
    for url, addresses in TRICKS.items():
        arrange(outside, url, addresses)
        assert await is_refused(outside, url), url
        assert not outside.connected, url
    assert not outside.received


async def test_no_redirect_reaches_one(outside: World) -> None:
    target = ""

    async def script(request: Received) -> Response:
        return RedirectResponse(target, status_code=302) if request.host == "start.example.com" else Response("inside")

    outside.script = script
    for url, addresses in TRICKS.items():
        if (
            "\n" in url
            or "\r" in url
            or url.startswith((" ", "\t"))
            or not url.isascii()
            or url.count("/") < 2
            or "://" not in url
        ):
            continue  # no header can hold it, or it is relative to the page
        arrange(outside, url, addresses)
        target = url
        outside.connected.clear()
        assert await is_refused(outside, "http://start.example.com/"), url
        assert {host for host, _ in outside.connected} == {"start.example.com"}, url


async def test_no_setting_opens_loopback_link_local_metadata_and_the_api_server(outside: World) -> None:
    everything = tuple(ipaddress.ip_network(text) for text in ("0.0.0.0/0", "::/0"))
    policy = AddressPolicy(everything, frozenset({API_SERVER}))
    for address in (
        *(
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "169.254.1.1",
            "fe80::1",
            "fe80::1%eth0",
        ),
        *(
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "::",
            "10.96.0.1",
            "::ffff:10.96.0.1",
            "224.0.0.1",
        ),
        *(
            "64:ff9b::10.96.0.1",
            "64:ff9b::7f00:1",
            "2002:a00:1::",
            "2001:0:1::",
            "::10.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ),
    ):
        assert policy.refusal(address), address
    for address in ("10.1.2.3", "192.168.0.1", "fd00::1", "100.64.0.1", PUBLIC, "2606:4700::1111"):
        assert policy.refusal(address) is None, address


def test_public_addresses_are_reached_and_private_ones_by_setting() -> None:
    policy = AddressPolicy((ipaddress.ip_network("10.1.0.0/16"),))
    for address in (PUBLIC, "8.8.8.8", "2606:4700::1111", "10.1.2.3", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"):
        assert policy.refusal(address) is None, address
    for address in ("10.2.0.1", "192.168.0.1", "fd00::1"):
        assert policy.refusal(address), address


async def test_a_webhooks_connection_goes_to_the_addresses_that_were_checked(outside: World) -> None:
    """A name that has another address the next time it is asked (rebinding) leads nowhere else."""
    answers = [[PUBLIC], ["127.0.0.1"]]

    class Rebinding(World):
        async def resolve(self, host: str) -> list[str]:
            assert host == "start.example.com"
            return answers.pop(0)

    outside = Rebinding(outside.port)
    request = HttpRequest("POST", "http://start.example.com/", POLICY, frozenset({"start.example.com"}), {}, b"{}")
    await outside.client().send(request)
    assert outside.connected == [("start.example.com", (PUBLIC,))]
    with pytest.raises(CallRefused):
        await outside.client().send(request)
