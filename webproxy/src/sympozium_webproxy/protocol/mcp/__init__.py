"""The Model WebProxyContext Protocol: what an instance and its runs are as tools, prompts, resources and tasks. Pure."""
