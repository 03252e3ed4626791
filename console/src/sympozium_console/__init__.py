"""The console: the management API, for programs and pages that run agents without speaking to the API server themselves.

``routes`` take a request apart and call what reads and writes the objects: ``instances``, ``runs``, ``skills``. It changes these
objects and nothing else; what follows from a change is the operator's. No Secret and no OpenAI or MCP enters here.
"""
