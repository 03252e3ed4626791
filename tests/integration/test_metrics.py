"""Metrics of the web-proxy and of the agent API, read as Prometheus reads them."""

import asyncio

import httpx2
from prometheus_client.parser import text_string_to_metric_families
from tests.fakes.pod import delta, done, failed
from tests.integration.conftest import KEY, Proxy

from sympozium_api.resources import RUNS


class Scraped:
    """One answer of /metrics."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = [s for family in text_string_to_metric_families(text) for s in family.samples]

    def value(self, name: str, **labels: str) -> float:
        return sum(s.value for s in self._samples if s.name == name and labels.items() <= s.labels.items())


async def scrape(proxy: Proxy) -> Scraped:
    return Scraped(await proxy.metrics())


async def test_a_complete_run_is_counted(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat(stream=True))
    pod = await proxy.pod()
    waiting = await scrape(proxy)
    await pod.task()
    rest = asyncio.Event()
    speaking = asyncio.create_task(pod.say({"type": "started"}, delta("Hel"), rest, delta("lo"), done("Hello")))
    async with asyncio.timeout(60):
        while not (active := await scrape(proxy)).value("sympozium_run_start_duration_seconds_count"):
            await asyncio.sleep(0.01)
    rest.set()
    await speaking
    await asked
    after = await scrape(proxy)

    assert waiting.value("sympozium_runs_waiting") == 1
    assert (active.value("sympozium_runs_waiting"), active.value("sympozium_pod_requests_in_flight")) == (0, 1)
    assert active.value("sympozium_runs_open") == 1
    chat = {"route": "/v1/chat/completions", "status": "200"}
    assert after.value("sympozium_http_requests_total", **chat) == 1
    assert after.value("sympozium_key_requests_total", key="api-key", status="200") == 1
    assert after.value("sympozium_time_to_first_token_seconds_count") == 1
    assert after.value("sympozium_tokens_total", key="api-key", type="input") == 3
    assert after.value("sympozium_tokens_total", key="api-key", type="output") == 2
    assert after.value("sympozium_runs_stored_total", phase="Succeeded") == 1
    assert after.value("sympozium_pod_requests_total", route="/runs/{name}/events", status="200") == 1
    assert after.value("process_resident_memory_bytes") > 0


async def test_an_answer_that_is_not_streamed_has_no_first_token(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    await (await proxy.pod()).answer("Hello")
    await asked
    after = await scrape(proxy)
    assert after.value("sympozium_time_to_first_token_seconds_count") == 0
    assert after.value("sympozium_run_start_duration_seconds_count") == 1


async def test_a_repeated_end_record_counts_once(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    pod = await proxy.pod()
    for _ in range(2):
        await pod.say(done("Hello"))
    await asked
    after = await scrape(proxy)
    assert after.value("sympozium_runs_stored_total") == 1
    assert after.value("sympozium_tokens_total") == 5


async def test_refusals_are_counted_by_reason_and_key(proxy: Proxy) -> None:
    (proxy.keys / "api-key-alice").write_text("sk-alice\n")
    proxy.clock.advance(10)
    key = (*proxy.context.settings.instance_key, "api-key-alice")
    for _ in range(100):
        proxy.context.limiter.take(key, proxy.context.instance_cache.served().rate_limit)
    assert (await proxy.chat(key="sk-alice")).status_code == 429
    assert (await proxy.chat(key="sk-unknown")).status_code == 401
    after = await scrape(proxy)
    assert after.value("sympozium_requests_refused_total", reason="rate_limit") == 1
    assert after.value("sympozium_key_requests_total", key="api-key-alice", status="429") == 1
    assert after.value("sympozium_key_requests_total") == 1


async def test_the_metrics_of_port_8081_hold_no_content_of_a_pod(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    pod = await proxy.pod()
    await pod.say({"type": "started"}, failed("made_up_by_a_pod", "words", 500))
    await asked
    async with httpx2.AsyncClient(base_url=proxy.surface) as http:
        await http.get("/made-up-by-a-pod")
        await http.get(f"/runs/{pod.run}/task", headers={"Authorization": "Bearer x"})
    seen = await scrape(proxy)
    assert seen.value("sympozium_pod_requests_total", status="401") == 1
    assert seen.value("sympozium_runs_stored_total", phase="Failed") == 1
    for words in ("made-up-by-a-pod", "made_up_by_a_pod", pod.run):
        assert words not in seen.text


async def test_an_unexpected_exception_is_counted_as_a_500(proxy: Proxy) -> None:
    proxy.kubernetes.refuse("get", RUNS, LookupError("a bug"))
    url, key = "/v1/responses/resp_demo-0123456789abcdef0123456789abcdef", {"Authorization": f"Bearer {KEY}"}
    response = await proxy.http.get(url, headers=key)
    assert response.status_code == 500
    assert response.headers["x-request-id"] in response.json()["error"]["message"]
    route = "/v1/responses/{response_id}"
    assert (await scrape(proxy)).value("sympozium_http_requests_total", route=route, status="500") == 1
