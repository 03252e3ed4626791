"""The agent platform API, port 8000: a dialect that parses, calls ``sympozium_domain``, and shapes. Nothing of another dialect enters."""
