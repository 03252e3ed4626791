"""The Model WebProxyContext Protocol's routes: ``/mcp`` for the transports since 2025-03-26, ``/sse`` and ``/message`` for the one before.

All hand their JSON-RPC requests to the SDK's low-level server by way of ``exchange``, one request at a time and with nothing
kept in between (docs/decisions/0030).
"""
