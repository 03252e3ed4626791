"""Decisions as pure functions: what was gathered goes in, what to do comes out. No client, no clock, no settings enter here."""
