"""Tunnels from agents to their model servers: who asks, whether the run's models are there, and the bytes in between.

TLS is the agent's and the server's own: the guard sees neither keys nor contents.
"""

import asyncio
import contextlib
import json
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus

import structlog

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.effective_policy import EffectivePolicy
from sympozium_api.names import agent_service_account
from sympozium_api.run import AgentRun
from sympozium_egress.denial_events import DenialEvents
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

MOST_TUNNELS = 1000
"""Open tunnels of one replica, and those being made, each of which takes up to 128 KiB."""
MOST_OF_A_POD = 8
"""Open tunnels of one pod, and those being made: an agent asks one model at a time, and waits for none to close."""
_CONNECT_SECONDS = 5.0
_LINGER_SECONDS = 5.0
"""Seconds that a tunnel has for its last bytes once one of its sides has ended: agents and model servers close both ways at once."""
PIECE_BYTES = 16 * 1024
"""Bytes that are carried at once."""
_KERNEL_BYTES = 32 * 1024
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
"""Seconds and number of probes of a silent connection, because a peer whose node is gone sends nothing."""
_BROKEN = (OSError, RuntimeError)
"""Errors of a connection that is gone: uvloop raises RuntimeError for a write to one."""

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
        *,
        addresses: Callable[[], AddressPolicy],
        metrics: EgressMetrics,
        denials: DenialEvents,
        resolve: Resolve,
        dial: Dial | None = None,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._origins = origins
        self._addresses = addresses
        self._metrics = metrics
        self._denials = denials
        self._resolve = resolve
        self._dial = dial or _dial
        self._open: Counter[Pod] = Counter()

    async def serve(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and carry bytes until a side has ended."""
        async with contextlib.AsyncExitStack() as held:
            try:
                upstream = await self._connected(head, held)
            except _Refused as refusal:
                self._metrics.count_tunnel("refused" if refusal.status < 500 else "failed")
                log.info("tunnel_refused", status=refusal.status, reason=str(refusal))
                await _answer(writer, refusal.status, str(refusal))
                return
            self._metrics.count_tunnel("open")
            await _joined((reader, writer), upstream)

    @contextlib.contextmanager
    def _counted(self, pod: Pod) -> Iterator[None]:
        """Count a tunnel of a pod while it is made and open. Raises _Refused where there are too many."""
        if self._open[pod] >= MOST_OF_A_POD:
            raise _Refused(503, f"the pod has {MOST_OF_A_POD} tunnels already")
        if self._open.total() >= MOST_TUNNELS:
            raise _Refused(503, "too many tunnels at the moment")
        self._open[pod] += 1
        try:
            yield
        finally:
            self._open[pod] -= 1
            if not self._open[pod]:
                del self._open[pod]

    async def _connected(self, head: bytes, held: contextlib.AsyncExitStack) -> Streams:
        """Return the connection to a model server; its count is in ``held``."""
        try:
            request = parse_tunnel(head)
            pod = await self._pod(request)
            held.enter_context(self._counted(pod))
            policy = await self._authorize(request, pod)
            host = await checked(request.host, self._addresses(), self._resolve, policy=policy, namespace=pod.namespace)
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

    async def _pod(self, request: TunnelRequest) -> Pod:
        if not request.token:
            raise Forbidden("the pod's token is missing")
        return await self._tokens.pod(request.token)

    async def _authorize(self, request: TunnelRequest, pod: Pod) -> EffectivePolicy | None:
        """Return the policy that binds the instance.

        Raises unless the pod works for the run or instance that it names, and one of whose models is at the address.
        """
        run = await self._run(pod, request.run) if request.run else None
        agent = run.spec.agent_ref if run else request.instance
        is_assigned = run is None or run.is_assigned_to(pod.name)
        if not is_assigned or pod.service_account != agent_service_account(agent):
            raise _Refused(403, "the token is of a pod that does not work for this run or instance")
        origin, origins = (request.host, request.port), await self._origins.of(pod.namespace, agent, run)
        if origin in origins.allowed:
            return origins.policy
        if denial := origins.denied.get(origin):
            self._metrics.denied.labels(denial.kind).inc()
            if run is not None:
                self._denials.emit(run, "its model", denial)
            raise _Refused(403, str(denial))
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
    return await asyncio.open_connection(address, port, limit=PIECE_BYTES)


async def _joined(here: Streams, there: Streams) -> None:
    """Answer the agent, and carry bytes both ways until one side has ended; the other one then has a moment for its last bytes."""
    ways: list[asyncio.Task[None]] = []
    try:
        for _, writer in (here, there):
            _bound(writer)
        here[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ways = [asyncio.create_task(_carried(here[0], there[1])), asyncio.create_task(_carried(there[0], here[1]))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait(ways, timeout=_LINGER_SECONDS)
    except _BROKEN:
        pass  # an end that breaks breaks the other one
    finally:
        for way in ways:
            way.cancel()
        for _, writer in (here, there):
            writer.close()
        await asyncio.gather(*ways, return_exceptions=True)


def _bound(writer: asyncio.StreamWriter) -> None:
    """Bound what a connection holds, and let the kernel find out whether its peer is still there."""
    writer.transport.set_write_buffer_limits(high=PIECE_BYTES)
    opened: socket.socket = writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BYTES)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        opened.setsockopt(socket.IPPROTO_TCP, option, value)


async def _carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(*_BROKEN):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _answer(writer: asyncio.StreamWriter, status: int, message: str) -> None:
    body = json.dumps({"error": message}).encode()
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    with contextlib.suppress(*_BROKEN):
        writer.write(f"{head}connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.write_eof()
    writer.close()
