"""What runs in the agent's pod: it fetches one task, asks the model, and brings every token and the end record home.

Layers, top to bottom: ``__main__`` and ``process`` (signals, exit code), ``agent`` (one pod's life), ``work`` (drives the
loop), ``mailbox`` and ``provider`` (the two peers), ``exchange`` and ``wire`` (HTTP/1.1), and the pure core: ``loop``,
``answer``, ``sse``, ``termination``. The agent starts cold in every pod, so an import is latency: only the standard
library, h11 and ``sympozium_api.{records,environment}`` may enter here, and httpx2 where a proxy asks for it.
"""
