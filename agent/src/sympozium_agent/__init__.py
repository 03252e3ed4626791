"""The agent: the process in a run's pod. It fetches one task, calls the model, and delivers every token and the end record.

Layers, top to bottom: ``__main__`` and ``process`` (signals, exit code), ``agent`` (one pod's life), ``driver`` (runs the
loop), ``record_delivery`` and ``runs_client`` (the agent API), ``providers`` (the model's dialects), ``tools``, ``transport``
(HTTP/1.1), ``waiting`` (threads, deadlines, cancellation), and the pure core: ``loop``, ``completion``, ``termination``.

The agent starts cold in every pod, so an import is latency. Imported are the standard library and six modules of
``sympozium_api``: ``agent_protocol``, ``environment``, ``json_members``, ``model_refusal``, ``tool_output``, ``values``. What is
slow is imported where it is needed, if it is: ssl by ``transport.tls`` for https, asyncio and httpx2 by ``transport.proxied`` for
proxies, typing and ``sympozium_api.agent_records`` by nobody at run time. So annotations are texts (``from __future__ import
annotations``), their names are imported under ``TYPE_CHECKING``, and dataclasses are those of ``sympozium_api.values``.
"""
