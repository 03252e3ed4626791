"""Decisions as pure functions: frozen input in, whole decision out. No client, no clock, no settings enter here."""
