"""``python -m tests.bench.tunnel``: time to the first token of a model, directly and through the egress guard.

No cluster: the guard reads an API server in memory, and a model server with TLS is on this machine. The samples are taken in turn.
"""

import argparse
import asyncio
import logging
import os
import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path

from cryptography import x509
from tests.fakes.agent_thread import in_thread
from tests.fakes.certificate import self_signed
from tests.fakes.model import serving
from tests.integration.egress.test_tunnels import HOST, RUN, made_guard

from sympozium_agent.transport import ModelTransport
from sympozium_agent.transport.tunnel import Guard
from sympozium_agent.waiting import Scope

log = logging.getLogger(__name__)

BODY = b'{"model": "instant", "stream": true, "messages": []}'


def first_token(scope: Scope, url: str, guard: Guard | None) -> float:
    """Return the milliseconds from a call of the model to its first bytes."""
    began = time.perf_counter()
    with ModelTransport(guard).post(url, {"content-type": "application/json"}, BODY, scope) as response:
        next(iter(response.body_chunks()))
    return (time.perf_counter() - began) * 1000


async def main() -> None:
    """Print both medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100, help="samples of each way")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stdout)
    log.setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "server.pem"
        file.write_bytes(b"".join(self_signed(x509.DNSName(HOST), x509.DNSName("localhost"))))
        os.environ["SSL_CERT_FILE"] = str(file)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(file)
        async with serving(tls=tls) as model, made_guard(model) as tunnelled:
            token = tunnelled.token()
            port = model.url.rpartition(":")[2]
            direct, through = list[float](), list[float]()
            for number in range(arguments.samples + 5):
                taken = [
                    await in_thread(lambda s: first_token(s, f"https://localhost:{port}/chat/completions", None)),
                    await in_thread(
                        lambda s: first_token(
                            s,
                            f"https://{HOST}/v1/chat/completions",
                            Guard(tunnelled.url, lambda: token, run=RUN, instance=""),
                        )
                    ),
                ]
                if number >= 5:
                    direct.append(taken[0])
                    through.append(taken[1])
    added = statistics.median(through) - statistics.median(direct)
    row = statistics.median(direct), statistics.median(through), added, len(direct)
    log.info("first token p50: direct %.1f ms, through the guard %.1f ms, %+.1f ms, n=%d", *row)


if __name__ == "__main__":
    asyncio.run(main())
