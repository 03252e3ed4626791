"""Runs as the web-proxy, the Deployment ``sympozium-runs`` and later the console use them: create, follow, cancel, end.

Also the runs surface (port 8081), where agent pods fetch their task and bring their records. No client protocol
(OpenAI, MCP) enters here; that is the web-proxy's.
"""
