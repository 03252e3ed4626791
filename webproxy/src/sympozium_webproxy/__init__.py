"""The web-proxy: an instance's agent as an HTTP API that OpenAI clients speak.

``routes`` take a request apart and call ``sympozium_runs``; ``protocol`` translates values and touches no socket.
Who may call, how often and what it costs (``keys``, ``limits``, ``middleware``, ``metrics``) stands beside them.
"""
