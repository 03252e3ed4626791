"""Checks of the addresses that the instance names, reported on the server run (decision 0056)."""
