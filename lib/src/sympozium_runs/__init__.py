"""Runs as the web-proxy and the Deployment ``sympozium-runs`` use them: create, follow, cancel, queue, claim, end.

The agent API (port 8081), where agent pods fetch their task and send their records, is here as well. No client protocol
(OpenAI, MCP) enters: OpenAI's is ``sympozium_openai``, MCP's the web-proxy's.
"""
