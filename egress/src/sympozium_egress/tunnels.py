"""Tunnels from agents to their model servers: who asks, whether the run's models are there, and the bytes in between.

TLS is the agent's and the server's own: the guard sees neither keys nor contents.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.names import agent_service_account
from sympozium_api.run import AgentRun
from sympozium_egress.egress_metrics import EgressMetrics
from sympozium_egress.model_origins import ModelOrigins
from sympozium_egress.outgoing.resolution import CheckedHost, NameNotFound, Resolve, checked
from sympozium_egress.policy.addresses import AddressPolicy
from sympozium_egress.policy.call_policy import CallRefused
from sympozium_egress.policy.tunnel_request import BadTunnel, TunnelRequest, parse_tunnel
from sympozium_runs.cluster_tokens import Forbidden, Unverified
from sympozium_runs.pod_identity import Pod, PodTokens
from sympozium_runs.run_store import RunStore

log = structlog.get_logger()

MOST_TUNNELS = 2000
"""Open tunnels of one replica, each of which takes up to 256 KiB."""
_CONNECT_SECONDS = 5.0
_PIECE_BYTES = 64 * 1024

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[str, int], Awaitable[Streams]]
"""Function that connects to an address and a port. Raises OSError."""


class _Refused(Exception):
    """A tunnel that is not made."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Tunnels:
    """Maker of tunnels.

    Errors: 400 no request for a tunnel, 401 an unknown pod, 403 a pod, host or address that is not the run's, 404 no such run, 410 the
    run has ended, 502 the server cannot be reached, 503 the cluster cannot be reached, or there are too many tunnels.
    """

    def __init__(
        self,
        store: RunStore,
        tokens: PodTokens,
        origins: ModelOrigins,
        addresses: Callable[[], AddressPolicy],
        metrics: EgressMetrics,
        *,
        resolve: Resolve,
        dial: Dial | None = None,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._origins = origins
        self._addresses = addresses
        self._metrics = metrics
        self._resolve = resolve
        self._dial = dial or _dial
        self._open = 0

    async def serve(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and carry bytes until both sides have ended."""
        try:
            upstream = await self._connected(head)
        except _Refused as refusal:
            self._metrics.count_tunnel("refused" if refusal.status < 500 else "failed")
            log.info("tunnel_refused", status=refusal.status, reason=str(refusal))
            await _answer(writer, refusal.status, str(refusal))
            return
        self._metrics.count_tunnel("open")
        self._open += 1
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _joined((reader, writer), upstream)
        finally:
            self._open -= 1

    async def _connected(self, head: bytes) -> Streams:
        if self._open >= MOST_TUNNELS:
            raise _Refused(503, "too many tunnels at the moment")
        try:
            request = parse_tunnel(head)
            await self._authorize(request)
            host = await checked(request.host, self._addresses(), self._resolve)
        except BadTunnel as error:
            raise _Refused(400, str(error)) from None
        except Forbidden as error:
            raise _Refused(401, str(error)) from None
        except CallRefused as error:
            raise _Refused(403, str(error)) from None
        except NameNotFound as error:
            raise _Refused(502, f"the name {error} is not found") from None
        except ApiError:
            raise _Refused(502, "the cluster refuses a read that the tunnel needs") from None
        except (ApiUnavailable, Unverified):
            raise _Refused(503, "the cluster is not reachable at the moment") from None
        return await self._dialled(host, request.port)

    async def _authorize(self, request: TunnelRequest) -> None:
        """Raise unless the pod works for the run or instance that it names, and one of whose models is at the address."""
        if not request.token:
            raise Forbidden("the pod's token is missing")
        pod = await self._tokens.pod(request.token)
        run = await self._run(pod, request.run) if request.run else None
        agent = run.spec.agent_ref if run else request.instance
        is_assigned = run is None or run.is_assigned_to(pod.name)
        if not is_assigned or pod.service_account != agent_service_account(agent):
            raise _Refused(403, "the token is of a pod that does not work for this run or instance")
        if (request.host, request.port) not in await self._origins.of(pod.namespace, agent, run):
            raise _Refused(403, f"{request.host}:{request.port} is no address of the agent's model or its Providers")

    async def _dialled(self, host: CheckedHost, port: int) -> Streams:
        """Connect to the first checked address that accepts."""
        for address in host.addresses:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await self._dial(address, port)
        raise _Refused(502, f"{host.host} does not accept the connection")

    async def _run(self, pod: Pod, name: str) -> AgentRun:
        try:
            run = await self._store.head(pod.namespace, name)
        except ApiError as error:
            if error.not_found:
                raise _Refused(404, "no such run") from None
            raise
        if run.ended or run.spec.cancel:
            raise _Refused(410, "the run has ended or is cancelled")
        return run.without_contents()


async def _dial(address: str, port: int) -> Streams:
    return await asyncio.open_connection(address, port, limit=_PIECE_BYTES)


async def _joined(here: Streams, there: Streams) -> None:
    """Carry bytes both ways until both ends have closed, or one of them breaks."""
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_carried(here[0], there[1]))
            both.create_task(_carried(there[0], here[1]))
    except* OSError:
        pass  # an end that breaks breaks the other one
    finally:
        for _, writer in (here, there):
            writer.close()


async def _carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _answer(writer: asyncio.StreamWriter, status: int, message: str) -> None:
    body = json.dumps({"error": message}).encode()
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    with contextlib.suppress(OSError):
        writer.write(f"{head}connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.write_eof()
    writer.close()
