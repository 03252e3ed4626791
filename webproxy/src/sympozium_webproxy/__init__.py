"""The web-proxy: an instance's agent as an HTTP API for clients of OpenAI and MCP.

``routes`` parse a request, call the shared steps of ``request`` and ``sympozium_runs``, and return. ``protocol``
translates values and touches no socket. ``identity`` verifies access tokens; the cached instance, the rate limits and
the metrics stand beside these folders. ``assembly`` alone knows all parts.

"""
