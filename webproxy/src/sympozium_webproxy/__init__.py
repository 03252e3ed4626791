"""The web-proxy: an instance's agent as an HTTP API that OpenAI clients speak.

``routes`` take a request apart and call ``sympozium_runs``; ``protocol`` translates values and touches no socket.
How often one may call and what it costs (``limits``, ``metrics``) stands beside them.
"""
