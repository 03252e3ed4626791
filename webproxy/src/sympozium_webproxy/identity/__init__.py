"""Callers' identities: access tokens, their issuer's keys, and the metadata that tells clients where to get tokens."""
