"""Decisions of the egress guard: values in, values out; no socket, no clock, no client."""
