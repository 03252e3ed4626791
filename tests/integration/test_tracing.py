"""A trace from the caller through the run to the model: with a collector, without one, and with one that is away."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from tests.fakes.collector import Collector, attributes
from tests.fakes.kubernetes import api_error
from tests.fakes.pod import delta, done, failed
from tests.integration.conftest import Proxy, eventually, listening

from sympozium_api import names
from sympozium_api.resources import RUNS
from sympozium_http import tracing as tracing_module
from sympozium_http.tracing import Tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=opaque"}
SECRET_WORDS = "words-that-no-span-may-hold"
RUN = "invoke_agent demo"
REQUEST = "POST /v1/chat/completions"


def annotations(proxy: Proxy, run: str) -> dict[str, str]:
    found: dict[str, str] = proxy.kubernetes.object(RUNS, run)["metadata"]["annotations"]
    return found


class TestWithoutACollector:
    async def test_the_callers_context_reaches_the_model_as_it_came(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat(headers=CALLER))
        pod = await proxy.pod()
        task = (await pod.task()).json()
        await pod.answer("Hello")
        assert (await asked).status_code == 200
        assert task["model"]["headers"] == CALLER
        assert task["log"]["trace_id"] == TRACE

    async def test_a_request_without_a_context_carries_none_to_the_model(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        task = (await pod.task()).json()
        await pod.answer("Hello")
        await asked
        assert task["model"]["headers"] == {}
        assert names.ANNOTATION_TRACEPARENT not in annotations(proxy, pod.run)

    @pytest.mark.parametrize(
        "traceparent", ["nonsense", f"00-{'0' * 32}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-more"]
    )
    async def test_an_invalid_traceparent_is_dropped(self, proxy: Proxy, traceparent: str) -> None:
        asked = asyncio.create_task(proxy.chat(headers={"traceparent": traceparent}))
        pod = await proxy.pod()
        await pod.answer("Hello")
        assert (await asked).status_code == 200
        assert names.ANNOTATION_TRACEPARENT not in annotations(proxy, pod.run)


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    found = Collector()
    async with listening(found.app) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield found


class TestWithACollector:
    @pytest.fixture
    async def tracing(self, collector: Collector) -> AsyncIterator[Tracing]:
        assert collector
        made = tracing_module.from_environment(os.environ, service="sympozium-web-proxy", resource={"a": "b"})
        yield made
        await asyncio.to_thread(made.close)

    async def test_request_run_start_and_pod_hang_below_the_caller(self, proxy: Proxy, collector: Collector) -> None:
        asked = asyncio.create_task(proxy.chat(stream=True, headers=CALLER | {"x-request-id": "r-1"}))
        pod = await proxy.pod()
        task = (await pod.task()).json()
        await pod.say({"type": "started"}, delta("Hel"), delta("lo"), done("Hello"))
        await asked
        await eventually(lambda: {REQUEST, RUN, "start", "POST /runs/{name}/events"} <= set(collector.spans))

        request, run, start = (collector.spans[name] for name in (REQUEST, RUN, "start"))
        assert {span.trace_id.hex() for span in collector.spans.values()} == {TRACE}
        assert request.parent_span_id.hex() == SPAN
        assert request.kind == Span.SPAN_KIND_SERVER
        assert run.parent_span_id == request.span_id
        assert start.parent_span_id == run.span_id
        assert start.end_time_unix_nano <= run.end_time_unix_nano
        for pods in ("GET /runs/{name}/task", "POST /runs/{name}/events"):
            assert collector.spans[pods].parent_span_id == run.span_id
        assert [event.name for event in run.events] == ["first_token"]
        assert task["model"]["headers"] == {
            "traceparent": f"00-{TRACE}-{run.span_id.hex()}-01",
            "tracestate": "vendor=opaque",
        }

    async def test_spans_say_what_the_conventions_name(self, proxy: Proxy, collector: Collector) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        await pod.answer("Hello")
        await asked
        await eventually(lambda: {REQUEST, RUN} <= set(collector.spans))
        assert attributes(collector.spans[REQUEST].attributes) == {
            "http.request.method": "POST",
            "http.route": "/v1/chat/completions",
            "http.response.status_code": 200,
        }
        assert attributes(collector.spans[RUN].attributes) == {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "demo",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "smollm2",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 3,
            "gen_ai.usage.output_tokens": 2,
            "k8s.namespace.name": "default",
            "sympozium.key_id": "api-key",
            "sympozium.run": pod.run,
            "sympozium.run.phase": "Succeeded",
        }
        assert collector.resource["service.name"] == "sympozium-web-proxy"
        assert collector.resource["a"] == "b"

    async def test_each_call_of_a_tool_is_a_span_below_the_runs(self, proxy: Proxy, collector: Collector) -> None:
        asked = asyncio.create_task(proxy.chat(stream=True))
        pod = await proxy.pod()
        call = {"type": "tool", "id": "call_1", "function": "weather"}
        ended = call | {"state": "ended", "isError": False}
        unended = call | {"id": "call_2", "state": "started", "function": "time"}
        await pod.say({"type": "started"}, call | {"state": "started"}, ended, unended, done("Hello"))
        await asked
        await eventually(lambda: {RUN, "execute_tool weather", "execute_tool time"} <= set(collector.spans))
        span = collector.spans["execute_tool weather"]
        assert span.parent_span_id == collector.spans[RUN].span_id
        assert attributes(span.attributes) == {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather"}

    async def test_a_failure_is_an_error_without_the_models_words(self, proxy: Proxy, collector: Collector) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        await pod.say({"type": "started"}, failed("model_error", SECRET_WORDS, 500))
        assert (await asked).status_code == 502
        await eventually(lambda: {REQUEST, RUN} <= set(collector.spans))
        for name in (REQUEST, RUN):
            assert collector.spans[name].status.code == Status.STATUS_CODE_ERROR
        assert attributes(collector.spans[RUN].attributes)["error.type"] == "model_error"
        assert SECRET_WORDS.encode() not in collector.received

    async def test_no_content_and_no_key_is_in_any_span(self, proxy: Proxy, collector: Collector) -> None:
        messages = [{"role": "user", "content": SECRET_WORDS}]
        asked = asyncio.create_task(proxy.chat(messages=messages, headers={"Idempotency-Key": "i-1"}))
        pod = await proxy.pod()
        await pod.answer(SECRET_WORDS)
        await asked
        await proxy.http.get(f"/v1/models/{SECRET_WORDS}?q={SECRET_WORDS}")
        await eventually(lambda: {REQUEST, RUN, "GET /v1/models/{model:path}"} <= set(collector.spans))
        for words in (SECRET_WORDS, "sk-test", "hello", "Bearer"):
            assert words.encode() not in collector.received

    async def test_the_span_of_a_run_that_could_not_be_created_ends(self, proxy: Proxy, collector: Collector) -> None:
        proxy.kubernetes.refuse("create", RUNS, api_error(403, "Forbidden"))
        assert (await proxy.chat()).status_code == 502
        await eventually(lambda: {REQUEST, RUN, "start"} <= set(collector.spans))

    async def test_probes_and_metrics_make_no_spans(self, proxy: Proxy, collector: Collector) -> None:
        for path in ("/healthz", "/readyz", "/metrics", "/v1/models"):
            await proxy.http.get(path)
        await eventually(lambda: bool(collector.spans))
        assert set(collector.spans) == {"GET /v1/models"}

    async def test_a_caller_that_is_not_traced_is_not_recorded(self, proxy: Proxy, collector: Collector) -> None:
        asked = asyncio.create_task(proxy.chat(headers={"traceparent": f"00-{TRACE}-{SPAN}-00"}))
        pod = await proxy.pod()
        task = (await pod.task()).json()
        await pod.answer("Hello")
        await asked
        await proxy.http.get("/v1/models")
        await eventually(lambda: "GET /v1/models" in collector.spans)
        assert RUN not in collector.spans
        assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-00", task["model"]["headers"]["traceparent"])


class TestWithAnUnreachableCollector:
    @pytest.fixture
    def tracing(self, monkeypatch: pytest.MonkeyPatch) -> Tracing:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        return tracing_module.from_environment(os.environ, service="test", resource={})

    async def test_an_unreachable_collector_costs_a_request_nothing_but_one_log_line(
        self, proxy: Proxy, tracing: Tracing, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = ""
        async with asyncio.timeout(60):
            while "spans not exported" not in said:
                assert (await proxy.http.get("/v1/models")).status_code == 401
                said += capsys.readouterr().out
        asked = asyncio.create_task(proxy.chat())
        await (await proxy.pod()).answer("Hello")
        assert (await asked).status_code == 200
        await asyncio.to_thread(tracing.close)
        assert (said + capsys.readouterr().out).count("spans not exported") == 1


async def test_remaining_spans_are_exported_when_the_process_ends(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    made = tracing_module.from_environment(os.environ, service="test", resource={})
    tracing_module.end_request(made.span("GET", parent=None), "GET", "/last", 200)
    await asyncio.to_thread(made.close)
    assert set(collector.spans) == {"GET /last"}


def test_without_an_endpoint_the_sdk_is_not_even_imported() -> None:
    script = (
        "import sys, sympozium_webproxy.__main__, sympozium_runs.__main__, sympozium_http.tracing as t\n"
        "t.from_environment({}, service='x', resource={})\n"
        "print(*sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"opentelemetry.sdk", "google.protobuf", "requests"} & set(found.stdout.split())
