"""The Model Context Protocol: an instance and its runs as tools, prompts, resources and tasks. Pure."""
