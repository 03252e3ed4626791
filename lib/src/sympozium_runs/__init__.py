"""Runs as the web-proxy and the Deployment ``sympozium-runs`` use them: create, follow, cancel, end.

Also the runs surface (port 8081), where agent pods fetch their task and bring their records. No client protocol
(OpenAI, MCP) enters here; that is the web-proxy's. ``serving`` and ``http`` are what our HTTP servers share, the console among them.
"""
