"""Routes of the agent platform API. The name of a route is the action that the audit has for it, such as ``agent.create``."""
