"""The egress guard: the only process through which tool calls leave (docs/guides/tools.md).

An agent's pod asks for a call; the guard decides from the objects of the cluster, then calls. ``policy`` is pure, ``outgoing`` speaks
HTTP to the world, the other modules read the cluster and serve port 8082.
"""
