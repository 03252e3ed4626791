"""Calls that leave the cluster: names resolved and checked, addresses pinned, answers bounded."""
