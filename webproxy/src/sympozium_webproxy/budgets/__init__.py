"""Limits of single API keys: read from the keys' Secret, and their tokens counted over all replicas (decision 0057)."""
