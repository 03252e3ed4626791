"""Routes of the Model Context Protocol: ``/mcp`` for the transports since 2025-03-26, ``/sse`` and ``/message`` for the older one.

Each route hands its JSON-RPC requests to the SDK's low-level server through ``dispatch``, one request at a time, and
keeps no state between them (docs/decisions/0030).

"""
