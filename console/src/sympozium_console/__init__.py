"""The console: the management API, for programs and pages that run agents without access to the API server.

``routes`` parse a request and call the repositories and the catalog, which read and write the objects. The console changes
SympoziumInstances and AgentRuns and nothing else; the operator acts on each change. No Secret, no OpenAI and no MCP enters
here, and nothing of sympozium_runs.
"""
