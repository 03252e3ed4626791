"""The agent: the process in a run's pod. It fetches one task, calls the model, and delivers every token and the end record.

Layers, top to bottom: ``__main__`` and ``process`` (signals, exit code), ``agent`` (one pod's life), ``driver`` (runs the
loop), ``record_delivery`` and ``runs_client`` (the agent API), ``providers`` (the model's dialects), ``transport`` (HTTP/1.1),
and the pure core: ``loop``, ``completion``, ``termination``. The agent starts cold in every pod, so an import is latency:
only the standard library, h11 and ``sympozium_api.{agent_protocol,environment}`` may be imported here, and httpx2 by
``transport.proxied`` alone.
"""
