"""Commands for the operators of an agent platform API. They are clients of it over HTTP, and import nothing of the server."""
