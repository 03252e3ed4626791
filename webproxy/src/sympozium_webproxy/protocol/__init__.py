"""Protocols as pure translations: bytes and dicts in, dicts and bytes out. No socket, no clock, no run."""
